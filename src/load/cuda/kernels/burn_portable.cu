// Burns that every architecture since sm_80 runs: bf16 by mma.sync, fp64 by its tensor form, fp32 on the plain cores;
// fp8 by mma.sync where it has a pipe of its own (sm_89, sm_120).
//
// A unit is one block. C[row][column] = sum over steps, over k, of A[row][k] * B(step % tiles)[k][column].
#include "shared.cuh"

constexpr u32 WARPS = 8;

// ---- bf16 and fp8: 64 x 256, warps 2 x 4, each 32 x 64 ----------------------------------------------------------------

template <typename Element>
struct Tensor;

template <>
struct Tensor<u16> {
  static constexpr u32 K = 64;       // depth of a step
  static constexpr u32 K_MMA = 16;
  static constexpr u32 PER_REGISTER = 2;
  static __device__ __forceinline__ u16 element(const BurnArgs &a, u32 matrix, u32 row, u32 column) {
    return element_bf16(a.seed, a.operands, a.limit, matrix, row, column);
  }
  static __device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ == 890 || __CUDA_ARCH__ >= 1200
#define KILN_FP8_MMA 1
template <>
struct Tensor<u8> {
  static constexpr u32 K = 128;
  static constexpr u32 K_MMA = 32;
  static constexpr u32 PER_REGISTER = 4;
  static __device__ __forceinline__ u8 element(const BurnArgs &a, u32 matrix, u32 row, u32 column) {
    return element_e4m3(a.seed, a.operands, a.limit, a.tiles, matrix, row, column);
  }
  static __device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};
#endif

// One register of operands: a function of its own, as it is needed dozens of times and only at the start.
template <typename Element>
__device__ __noinline__ u32 packed(const BurnArgs &args, u32 matrix, u32 row, u32 column, u32 down, u32 right) {
  u32 word = 0;
#pragma unroll 1
  for (u32 e = 0; e < Tensor<Element>::PER_REGISTER; e++) {
    word |= (u32)Tensor<Element>::element(args, matrix, row + e * down, column + e * right) << (e * 8 * sizeof(Element));
  }
  return word;
}

__device__ __noinline__ float element_number(const BurnArgs &args, u32 matrix, u32 row, u32 column) {
  if (args.operands != OPERANDS_EXACT) return element_real(args.seed, args.operands, matrix, row, column);
  return (float)element_int(element_bits(args.seed, matrix, row, column), args.limit);
}

template <typename Element>
__device__ __forceinline__ void burn_mma(const BurnArgs &args) {
  using T = Tensor<Element>;
  constexpr u32 N = 256, NT = N / 8, KT = T::K / T::K_MMA, WARP_NT = 8;
  constexpr u32 CELLS = 64 * N;
  // Fragments of B in the order in which lanes take them: [tile][kt][nt][lane][2 registers].
  extern __shared__ u32 fragments[];
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const u32 rows = (warp & 1) * 32, columns = (warp >> 1) * 64;
  const u32 group = lane / 4, in_group = lane % 4;
  const u32 per_tile = KT * NT * 64;
  for (u32 at = threadIdx.x; at < args.tiles * per_tile; at += blockDim.x) {
    u32 tile = at / per_tile, rest = at % per_tile;
    u32 kt = rest / (NT * 64), nt = rest / 64 % NT, l = rest / 2 % 32, r = rest % 2;
    u32 k = kt * T::K_MMA + (l % 4) * T::PER_REGISTER + r * (T::K_MMA / 2), n = nt * 8 + l / 4;
    fragments[at] = packed<Element>(args, 1 + tile, k, n, 1, 0);
  }
  u32 a[2][KT][4];
#pragma unroll
  for (u32 m = 0; m < 2; m++) {
#pragma unroll
    for (u32 kt = 0; kt < KT; kt++) {
#pragma unroll
      for (u32 r = 0; r < 4; r++) {
        u32 row = rows + m * 16 + group + (r & 1) * 8;
        u32 k = kt * T::K_MMA + in_group * T::PER_REGISTER + (r >> 1) * (T::K_MMA / 2);
        a[m][kt][r] = packed<Element>(args, 0, row, k, 0, 1);
      }
    }
  }
  __syncthreads();
  for (u32 w = 0; w < args.windows; w++) {
    float c[2][WARP_NT][4];
#pragma unroll
    for (u32 m = 0; m < 2; m++)
#pragma unroll
      for (u32 nt = 0; nt < WARP_NT; nt++)
#pragma unroll
        for (u32 r = 0; r < 4; r++) c[m][nt][r] = 0.0f;
    u32 tile = 0;
    for (u32 step = 0; step < args.steps; step++) {
      const uint2 *b = (const uint2 *)(fragments + tile * per_tile) + lane;
#pragma unroll
      for (u32 kt = 0; kt < KT; kt++) {
#pragma unroll
        for (u32 nt = 0; nt < WARP_NT; nt++) {
          uint2 pair = b[(kt * NT + columns / 8 + nt) * 32];
          T::mma(c[0][nt], a[0][kt], pair.x, pair.y);
          T::mma(c[1][nt], a[1][kt], pair.x, pair.y);
        }
      }
      tile = tile + 1 == args.tiles ? 0 : tile + 1;
    }
#pragma unroll
    for (u32 m = 0; m < 2; m++)
#pragma unroll
      for (u32 nt = 0; nt < WARP_NT; nt++)
#pragma unroll
        for (u32 r = 0; r < 4; r += 2) {
          u32 row = rows + m * 16 + group + (r >> 1) * 8, column = columns + nt * 8 + in_group * 2;
          put(args, blockIdx.x, CELLS, row * N + column, __float_as_uint(c[m][nt][r]), __float_as_uint(c[m][nt][r + 1]));
        }
    __syncthreads();
    settle<u32>(args, args.first_window + w, blockIdx.x, CELLS, threadIdx.x, blockDim.x);
    __syncthreads();
  }
}

extern "C" __global__ void BESIDE_A_STREAM burn_bf16_mma(const BurnArgs args) { if (!left_out(args)) burn_mma<u16>(args); }

#ifdef KILN_FP8_MMA
extern "C" __global__ void BESIDE_A_STREAM burn_fp8_mma(const BurnArgs args) { if (!left_out(args)) burn_mma<u8>(args); }
#endif

// ---- fp64: 64 x 64, depth 32, warps 2 x 4, each 32 x 16 ---------------------------------------------------------------------

// The product of one instruction. Hopper takes eight times as much in one as Ampere's shape has. Others take the larger shape too, but
// ptxas makes eight of Ampere's of it there (DMMA.8x8x4 in the SASS of sm_100f and sm_120).
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1000
struct Dmma {
  static constexpr u32 ROWS = 16, DEPTH = 16;
  static __device__ __forceinline__ void mma(double (&c)[4], const double (&a)[8], const double (&b)[4]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0,%1,%2,%3}, {%4,%5,%6,%7,%8,%9,%10,%11}, {%12,%13,%14,%15}, {%0,%1,%2,%3};"
                 : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
                 : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]),
                   "d"(b[2]), "d"(b[3]));
  }
};
#else
struct Dmma {
  static constexpr u32 ROWS = 8, DEPTH = 4;
  static __device__ __forceinline__ void mma(double (&c)[2], const double (&a)[1], const double (&b)[1]) {
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
                 : "+d"(c[0]), "+d"(c[1])
                 : "d"(a[0]), "d"(b[0]));
  }
};
#endif

extern "C" __global__ void BESIDE_A_STREAM burn_fp64_mma(const BurnArgs args) {
  if (left_out(args)) return;
  constexpr u32 N = 64, K = 32, KT = K / Dmma::DEPTH, NT = N / 8, MT = 32 / Dmma::ROWS, WARP_NT = 2, HALVES = Dmma::ROWS / 8;
  // Registers of a lane in one product.
  constexpr u32 OF_A = Dmma::ROWS * Dmma::DEPTH / 32, OF_B = Dmma::DEPTH / 4, OF_C = Dmma::ROWS / 4;
  constexpr u32 WIDE = OF_B > 1 ? 2 : 1; // numbers in one read
  // Fragments of B in the order in which lanes take them: [tile][kt][nt][OF_B / WIDE][lane][WIDE].
  extern __shared__ double fragments64[];
  const u32 lane = threadIdx.x & 31, warp = threadIdx.x / 32;
  const u32 rows = (warp & 1) * 32, columns = (warp >> 1) * 16;
  const u32 group = lane / 4, in_group = lane % 4;
  const u32 per_tile = KT * NT * OF_B * 32;
  for (u32 at = threadIdx.x; at < args.tiles * per_tile; at += blockDim.x) {
    u32 tile = at / per_tile, kt = at % per_tile / (NT * OF_B * 32), nt = at / (OF_B * 32) % NT, l = at / WIDE % 32;
    u32 r = at / (WIDE * 32) % (OF_B / WIDE) * WIDE + at % WIDE;
    fragments64[at] = (double)element_number(args, 1 + tile, kt * Dmma::DEPTH + r * 4 + l % 4, nt * 8 + l / 4);
  }
  double a[MT][KT][OF_A];
#pragma unroll
  for (u32 m = 0; m < MT; m++)
#pragma unroll
    for (u32 kt = 0; kt < KT; kt++)
#pragma unroll
      for (u32 r = 0; r < OF_A; r++) {
        u32 row = rows + m * Dmma::ROWS + group + r % HALVES * 8, k = kt * Dmma::DEPTH + in_group + r / HALVES * 4;
        a[m][kt][r] = (double)element_number(args, 0, row, k);
      }
  __syncthreads();
  for (u32 w = 0; w < args.windows; w++) {
    double c[MT][WARP_NT][OF_C] = {};
    u32 tile = 0;
#pragma unroll 1 // A step is long enough, and its registers are all there are.
    for (u32 step = 0; step < args.steps; step++) {
#pragma unroll
      for (u32 kt = 0; kt < KT; kt++)
#pragma unroll
        for (u32 nt = 0; nt < WARP_NT; nt++) {
          const double *from = fragments64 + tile * per_tile + (kt * NT + columns / 8 + nt) * OF_B * 32 + lane * WIDE;
          double b[OF_B];
          if constexpr (WIDE == 2) {
#pragma unroll
            for (u32 r = 0; r < OF_B; r += 2) {
              double2 pair = *(const double2 *)(from + r * 32);
              b[r] = pair.x;
              b[r + 1] = pair.y;
            }
          } else {
            b[0] = from[0];
          }
#pragma unroll
          for (u32 m = 0; m < MT; m++) Dmma::mma(c[m][nt], a[m][kt], b);
        }
      tile = tile + 1 == args.tiles ? 0 : tile + 1;
    }
#pragma unroll
    for (u32 m = 0; m < MT; m++)
#pragma unroll
      for (u32 nt = 0; nt < WARP_NT; nt++)
#pragma unroll
        for (u32 r = 0; r < OF_C; r += 2) {
          u32 row = rows + m * Dmma::ROWS + group + r / 2 * 8, column = columns + nt * 8 + in_group * 2;
          put(args, blockIdx.x, 64 * N, row * N + column, (u64)__double_as_longlong(c[m][nt][r]),
              (u64)__double_as_longlong(c[m][nt][r + 1]));
        }
    __syncthreads();
    settle<u64>(args, args.first_window + w, blockIdx.x, 64 * N, threadIdx.x, blockDim.x);
    __syncthreads();
  }
}

// ---- fp32: 64 x 256, depth 32, each thread 8 x 8 ------------------------------------------------------------------------

extern "C" __global__ void BESIDE_A_STREAM burn_fp32(const BurnArgs args) {
  if (left_out(args)) return;
  constexpr u32 M = 64, N = 256, K = 32;
  extern __shared__ float operands32[]; // A [k][row], then the tiles of B [tile][k][column]
  float *b_tiles = operands32 + K * M;
  for (u32 at = threadIdx.x; at < K * M + args.tiles * K * N; at += blockDim.x) {
    u32 b = at - K * M;
    operands32[at] = at < K * M ? element_number(args, 0, at % M, at / M)
                                : element_number(args, 1 + b / (K * N), b / N % K, b % N);
  }
  __syncthreads();
  const u32 row = threadIdx.x / 32 * 8, column = threadIdx.x % 32 * 4;
  for (u32 w = 0; w < args.windows; w++) {
    float c[8][8] = {};
    u32 tile = 0;
    for (u32 step = 0; step < args.steps; step++) {
      const float *b = b_tiles + tile * K * N;
#pragma unroll 4
      for (u32 k = 0; k < K; k++) {
        float4 a0 = *(const float4 *)(operands32 + k * M + row), a1 = *(const float4 *)(operands32 + k * M + row + 4);
        float4 b0 = *(const float4 *)(b + k * N + column), b1 = *(const float4 *)(b + k * N + column + 128);
        float as[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        float bs[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (u32 i = 0; i < 8; i++)
#pragma unroll
          for (u32 j = 0; j < 8; j++) c[i][j] = fmaf(as[i], bs[j], c[i][j]);
      }
      tile = tile + 1 == args.tiles ? 0 : tile + 1;
    }
#pragma unroll
    for (u32 i = 0; i < 8; i++)
#pragma unroll
      for (u32 j = 0; j < 8; j += 4) {
        put(args, blockIdx.x, M * N, (row + i) * N + column + j / 4 * 128, __float_as_uint(c[i][j]),
            __float_as_uint(c[i][j + 1]), __float_as_uint(c[i][j + 2]), __float_as_uint(c[i][j + 3]));
      }
    __syncthreads();
    settle<u32>(args, args.first_window + w, blockIdx.x, M * N, threadIdx.x, blockDim.x);
    __syncthreads();
  }
}
