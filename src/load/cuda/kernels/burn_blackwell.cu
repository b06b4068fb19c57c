// Burns for data-centre Blackwell (the sm_100 family): tcgen05 with accumulators in tensor memory, bf16 (kind::f16) and
// e4m3 (kind::f8f6f4).
//
// A unit is one block: 128 x 256 accumulators in 256 columns of tensor memory. Shared memory holds A once and the tiles of
// B as rows of 128 bytes of k in the 128-byte swizzle. One thread issues; the products of a window run back to back.
#include "shared.cuh"

constexpr u32 M = 128, N = 256, ROW_BYTES = 128, COLUMNS = 256;
constexpr u32 A_BYTES = M * ROW_BYTES, B_BYTES = N * ROW_BYTES;
// Steps between two commits: far fewer than a queue could hold back, far more than a commit costs.
constexpr u32 BATCH = 16;

__device__ __forceinline__ u32 swizzled(u32 row, u32 byte) { return row * ROW_BYTES + (byte ^ ((row & 7) << 4)); }

// Shared memory descriptor: address, 1024 bytes from eight rows to the next, version 1, 128-byte swizzle.
__device__ __forceinline__ u64 descriptor(u32 address) {
  return ((u64)(address & 0x3FFFF) >> 4) | (1ull << 16) | ((u64)(1024 >> 4) << 32) | (1ull << 46) | (2ull << 61);
}

struct Bf16 {
  static constexpr u32 BYTES = 2;
  // Accumulators f32, both operands bf16, K-major.
  static constexpr u32 INSTRUCTION = (1u << 4) | (1u << 7) | (1u << 10) | ((N >> 3) << 17) | ((M >> 4) << 24);
  static __device__ __forceinline__ void mma(u32 d, u64 a, u64 b, u32 accumulate) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %4, 0;\n"
                 "tcgen05.mma.cta_group::1.kind::f16 [%0], %1, %2, %3, p; }" ::"r"(d), "l"(a), "l"(b), "r"(INSTRUCTION), "r"(accumulate) : "memory");
  }
  static __device__ __forceinline__ void put(const BurnArgs &args, u8 *to, u32 matrix, u32 row, u32 k, bool is_b) {
    *(u16 *)to = element_bf16(args.seed, args.operands, args.limit, matrix, is_b ? k : row, is_b ? row : k);
  }
};

struct E4m3 {
  static constexpr u32 BYTES = 1;
  // Accumulators f32, both operands e4m3 (0), K-major.
  static constexpr u32 INSTRUCTION = (1u << 4) | ((N >> 3) << 17) | ((M >> 4) << 24);
  static __device__ __forceinline__ void mma(u32 d, u64 a, u64 b, u32 accumulate) {
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %4, 0;\n"
                 "tcgen05.mma.cta_group::1.kind::f8f6f4 [%0], %1, %2, %3, p; }" ::"r"(d), "l"(a), "l"(b), "r"(INSTRUCTION), "r"(accumulate) : "memory");
  }
  static __device__ __forceinline__ void put(const BurnArgs &args, u8 *to, u32 matrix, u32 row, u32 k, bool is_b) {
    *to = element_e4m3(args.seed, args.operands, args.limit, args.tiles, matrix, is_b ? k : row, is_b ? row : k);
  }
};

__device__ __forceinline__ void wait(u32 barrier, u32 parity) {
  asm volatile("{ .reg .pred p;\nagain: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra again; }" ::"r"(barrier), "r"(parity) : "memory");
}

__device__ __forceinline__ void commit(u32 barrier) {
  asm volatile("tcgen05.commit.cta_group::1.mbarrier::arrive::one.shared::cluster.b64 [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void load8(u32 (&r)[8], u32 address) {
  asm volatile("tcgen05.ld.sync.aligned.32x32b.x8.b32 {%0,%1,%2,%3,%4,%5,%6,%7}, [%8];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]), "=r"(r[4]), "=r"(r[5]), "=r"(r[6]), "=r"(r[7])
               : "r"(address));
  asm volatile("tcgen05.wait::ld.sync.aligned;" ::: "memory");
}

template <typename T>
__device__ __forceinline__ void issue(const BurnArgs &args, u32 tensor, u64 a0, u64 b0, u32 barrier, u32 &batches) {
  u32 tile = 0;
  for (u32 step = 0; step < args.steps; step++) {
    u64 b = b0 + (u64)tile * (B_BYTES >> 4);
#pragma unroll
    for (u32 k = 0; k < 4; k++) T::mma(tensor, a0 + 2 * k, b + 2 * k, step > 0 || k > 0);
    tile = tile + 1 == args.tiles ? 0 : tile + 1;
    if (step % BATCH == BATCH - 1 || step + 1 == args.steps) {
      // Two barriers in turn: one batch runs while the next is issued.
      if (batches >= 2) wait(barrier + 8 * (batches & 1), (batches / 2 - 1) & 1);
      commit(barrier + 8 * (batches & 1));
      batches++;
    }
  }
  // Commits come in order: the last covers all before it.
  wait(barrier + 8 * ((batches - 1) & 1), ((batches - 1) / 2) & 1);
}

template <typename T>
__device__ __forceinline__ void burn(const BurnArgs &args) {
  extern __shared__ __align__(1024) u8 shared[];
  __shared__ u64 barriers[2];
  __shared__ u32 tensor_address;
  constexpr u32 K = ROW_BYTES / T::BYTES;
  const u32 warp = threadIdx.x / 32, lane = threadIdx.x & 31;
  const u32 barrier = (u32)__cvta_generic_to_shared(barriers);
  if (warp == 0) {
    asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], %1;" ::"r"((u32)__cvta_generic_to_shared(&tensor_address)), "r"(COLUMNS) : "memory");
    asm volatile("tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;");
  }
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier) : "memory");
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(barrier + 8) : "memory");
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  for (u32 at = threadIdx.x; at < (M + args.tiles * N) * K; at += blockDim.x) {
    u32 line = at / K, k = at % K;
    bool is_b = line >= M;
    u32 row = is_b ? (line - M) % N : line, matrix = is_b ? 1 + (line - M) / N : 0;
    u32 base = is_b ? A_BYTES + (matrix - 1) * B_BYTES : 0;
    T::put(args, shared + base + swizzled(row, k * T::BYTES), matrix, row, k, is_b);
  }
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
  __syncthreads();
  asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
  const u32 tensor = tensor_address, start = (u32)__cvta_generic_to_shared(shared);
  u32 batches = 0;
  for (u32 w = 0; w < args.windows; w++) {
    if (threadIdx.x == 0) issue<T>(args, tensor, descriptor(start), descriptor(start + A_BYTES), barrier, batches);
    asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
    __syncthreads();
    asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
    for (u32 column = 0; column < N; column += 8) {
      u32 found[8];
      load8(found, tensor + column + (warp * 32 << 16));
#pragma unroll
      for (u32 i = 0; i < 8; i += 4) {
        u32 at = (warp * 32 + lane) * N + column + i;
        put(args, blockIdx.x, M * N, at, found[i], found[i + 1], found[i + 2], found[i + 3]);
      }
    }
    __syncthreads();
    settle<u32>(args, args.first_window + w, blockIdx.x, M * N, threadIdx.x, blockDim.x);
    asm volatile("tcgen05.fence::before_thread_sync;" ::: "memory");
    __syncthreads();
    asm volatile("tcgen05.fence::after_thread_sync;" ::: "memory");
  }
  if (warp == 0) asm volatile("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %0, %1;" ::"r"(tensor), "r"(COLUMNS));
}

extern "C" __global__ void __launch_bounds__(128, 1) burn_bf16_tcgen05(const BurnArgs args) { if (!left_out(args)) burn<Bf16>(args); }
extern "C" __global__ void __launch_bounds__(128, 1) burn_fp8_tcgen05(const BurnArgs args) { if (!left_out(args)) burn<E4m3>(args); }
