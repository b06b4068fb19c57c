// Burns for Hopper (sm_90a): wgmma m64n256 with both operands in shared memory, bf16 and e4m3.
//
// A block has two warpgroups, each one unit with its own accumulators and the same operands, so that one computes while
// the other waits for its group of products. Shared memory holds A once and the tiles of B, each as rows of 128 bytes of
// k in the 128-byte swizzle: K-major for both operands.
#include "shared.cuh"

constexpr u32 M = 64, N = 256, ROW_BYTES = 128;
constexpr u32 A_BYTES = M * ROW_BYTES, B_BYTES = N * ROW_BYTES;

// Where the byte of row and column lies: 16-byte pieces of eight rows are XORed with the row.
__device__ __forceinline__ u32 swizzled(u32 row, u32 byte) { return row * ROW_BYTES + (byte ^ ((row & 7) << 4)); }

// Shared memory descriptor: address, 1024 bytes from eight rows to the next, 128-byte swizzle.
__device__ __forceinline__ u64 descriptor(u32 address) {
  return ((u64)(address & 0x3FFFF) >> 4) | (1ull << 16) | ((u64)(1024 >> 4) << 32) | (1ull << 62);
}

#define ACC8(i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define ACC32(i) ACC8(i), ACC8(i + 8), ACC8(i + 16), ACC8(i + 24)
#define REGISTERS \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31," \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63," \
  "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95," \
  "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}"
#define WGMMA(shape_and_types, tail)                                                                   \
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %130, 0;\n"                                             \
               "wgmma.mma_async.sync.aligned." shape_and_types " " REGISTERS ", %128, %129, p, " tail ";\n }" \
               : ACC32(0), ACC32(32), ACC32(64), ACC32(96)                                             \
               : "l"(a), "l"(b), "r"(accumulate))

struct Bf16 {
  static __device__ __forceinline__ void mma(float (&c)[128], u64 a, u64 b, u32 accumulate) {
    WGMMA("m64n256k16.f32.bf16.bf16", "1, 1, 0, 0");
  }
  static __device__ __forceinline__ void put(const BurnArgs &args, u8 *to, u32 matrix, u32 row, u32 k, bool is_b) {
    *(u16 *)to = element_bf16(args.seed, args.operands, args.limit, matrix, is_b ? k : row, is_b ? row : k);
  }
  static constexpr u32 BYTES = 2;
};

struct E4m3 {
  static __device__ __forceinline__ void mma(float (&c)[128], u64 a, u64 b, u32 accumulate) {
    WGMMA("m64n256k32.f32.e4m3.e4m3", "1, 1");
  }
  static __device__ __forceinline__ void put(const BurnArgs &args, u8 *to, u32 matrix, u32 row, u32 k, bool is_b) {
    *to = element_e4m3(args.seed, args.operands, args.limit, args.tiles, matrix, is_b ? k : row, is_b ? row : k);
  }
  static constexpr u32 BYTES = 1;
};

template <typename T>
__device__ __forceinline__ void burn(const BurnArgs &args) {
  extern __shared__ __align__(1024) u8 shared[];
  constexpr u32 K = ROW_BYTES / T::BYTES;
  for (u32 at = threadIdx.x; at < (M + args.tiles * N) * K; at += blockDim.x) {
    u32 line = at / K, k = at % K;
    bool is_b = line >= M;
    u32 row = is_b ? (line - M) % N : line, matrix = is_b ? 1 + (line - M) / N : 0;
    u32 base = is_b ? A_BYTES + (matrix - 1) * B_BYTES : 0;
    T::put(args, shared + base + swizzled(row, k * T::BYTES), matrix, row, k, is_b);
  }
  // What was written by ordinary stores must be seen by the asynchronous unit.
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  __syncthreads();
  const u32 start = (u32)__cvta_generic_to_shared(shared);
  const u32 group = threadIdx.x / 128, thread = threadIdx.x % 128;
  const u64 a0 = descriptor(start), b0 = descriptor(start + A_BYTES);
  for (u32 w = 0; w < args.windows; w++) {
    float c[128];
#pragma unroll
    for (u32 i = 0; i < 128; i++) c[i] = 0.0f;
    u32 tile = 0, step = 0;
    // At least one step, so that no accumulator is read that no product wrote.
    do {
      u64 b = b0 + (u64)tile * (B_BYTES >> 4);
      asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
      for (u32 k = 0; k < 4; k++) T::mma(c, a0 + 2 * k, b + 2 * k, 1); // 32 bytes of k each
      asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
      asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
      tile = tile + 1 == args.tiles ? 0 : tile + 1;
    } while (++step < args.steps);
    // Keeps every look at an accumulator behind the wait.
#pragma unroll
    for (u32 i = 0; i < 128; i++) asm volatile("" : "+f"(c[i])::"memory");
    const u32 unit = blockIdx.x * 2 + group;
    const u32 base = (thread / 32 * 16 + thread % 32 / 4) * N + thread % 4 * 2;
#pragma unroll
    for (u32 i = 0; i < 128; i += 2) {
      put(args, unit, M * N, base + (i >> 1 & 1) * 8 * N + i / 4 * 8, __float_as_uint(c[i]), __float_as_uint(c[i + 1]));
    }
    __syncthreads();
    settle<u32>(args, args.first_window + w, unit, M * N, thread, 128);
    __syncthreads();
  }
}

extern "C" __global__ void BESIDE_A_STREAM burn_bf16_wgmma(const BurnArgs args) { if (!left_out(args)) burn<Bf16>(args); }
extern "C" __global__ void BESIDE_A_STREAM burn_fp8_wgmma(const BurnArgs args) { if (!left_out(args)) burn<E4m3>(args); }
