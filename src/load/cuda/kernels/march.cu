// Memory: patterns written and read back with 128-bit accesses and 64-bit indices, checksums, latency.
#include "shared.cuh"

enum : u32 { PATTERN_CONSTANT = 0, PATTERN_ADDRESS = 1, PATTERN_RANDOM = 2, PATTERN_MODULO = 3, PATTERN_WALKING = 4 };

struct Pattern {
  u64 parameter;
  u64 invert; // XORed onto every word
  u32 kind;
  u32 modulus;
};

// What word `index` (of 8 bytes, counted over all chunks) holds.
__device__ __forceinline__ u64 pattern_word(const Pattern &pattern, u64 index) {
  u64 word;
  switch (pattern.kind) {
    case PATTERN_ADDRESS: word = index * 8; break;
    case PATTERN_RANDOM: word = mix(pattern.parameter ^ index); break;
    case PATTERN_MODULO: word = index % pattern.modulus == pattern.parameter ? ~0ull : 0ull; break;
    case PATTERN_WALKING: word = 1ull << ((index + pattern.parameter) & 63); break;
    default: word = pattern.parameter; break;
  }
  return word ^ pattern.invert;
}

enum : u32 { MARCH_VERIFY = 1, MARCH_WRITE = 2, MARCH_DOWN = 4 };

struct MarchArgs {
  u64 log;
  u64 base;         // of the chunk
  u64 pairs;        // 16-byte accesses in the chunk
  u64 first_word;   // index of the chunk's first word over all chunks
  u64 iteration;
  u64 inject_word;  // index within the chunk of a word that is read with one bit flipped; all ones for none
  Pattern expect;
  Pattern write;
  u32 flags;
  u32 chunk;
  u32 inject_bit;
  u32 slow;
};

__device__ __forceinline__ Pair load_streaming(const Pair *at) {
  Pair pair;
  asm volatile("ld.global.cs.v2.u64 {%0, %1}, [%2];" : "=l"(pair.x), "=l"(pair.y) : "l"(at) : "memory");
  return pair;
}

__device__ __forceinline__ void store_streaming(Pair *at, Pair pair) {
  asm volatile("st.global.cs.v2.u64 [%0], {%1, %2};" ::"l"(at), "l"(pair.x), "l"(pair.y) : "memory");
}

__device__ __forceinline__ u64 load_again(const u64 *at) {
  u64 word;
  asm volatile("ld.global.cv.u64 %0, [%1];" : "=l"(word) : "l"(at) : "memory");
  return word;
}

__device__ __noinline__ void march_wrong(const MarchArgs &args, u64 word, u64 expected, u64 found) {
  u64 reread = load_again((const u64 *)args.base + word);
  log_wrong((Log *)args.log, args.iteration, args.chunk, word, expected, found, reread);
}

__device__ __forceinline__ void march_check(const MarchArgs &args, u64 word, u64 found) {
  if (word == args.inject_word) found ^= 1ull << args.inject_bit;
  u64 expected = pattern_word(args.expect, args.first_word + word);
  if (found != expected) march_wrong(args, word, expected, found);
}

// Loads in flight for each thread.
constexpr u32 UNROLL = 4;

extern "C" __global__ void __launch_bounds__(512) march(const MarchArgs args) {
  Pair *base = (Pair *)args.base;
  const u64 stride = (u64)gridDim.x * blockDim.x;
  const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  const bool down = args.flags & MARCH_DOWN;
  if (args.slow) lose_time(args.slow);
  for (u64 at = first; at < args.pairs; at += stride * UNROLL) {
    Pair found[UNROLL];
    if (args.flags & MARCH_VERIFY) {
#pragma unroll
      for (u32 k = 0; k < UNROLL; k++) {
        u64 place = at + k * stride;
        if (place < args.pairs) found[k] = load_streaming(base + (down ? args.pairs - 1 - place : place));
      }
#pragma unroll
      for (u32 k = 0; k < UNROLL; k++) {
        u64 place = at + k * stride;
        if (place < args.pairs) {
          u64 word = 2 * (down ? args.pairs - 1 - place : place);
          march_check(args, word, found[k].x);
          march_check(args, word + 1, found[k].y);
        }
      }
    }
    if (args.flags & MARCH_WRITE) {
#pragma unroll
      for (u32 k = 0; k < UNROLL; k++) {
        u64 place = at + k * stride;
        if (place < args.pairs) {
          u64 pair = down ? args.pairs - 1 - place : place;
          u64 index = args.first_word + 2 * pair;
          Pair out = {pattern_word(args.write, index), pattern_word(args.write, index + 1)};
          store_streaming(base + pair, out);
        }
      }
    }
  }
  if ((args.flags & MARCH_VERIFY) && first == 0) atomicAdd(&((Log *)args.log)->verified, 2 * args.pairs);
}

struct ChecksumArgs {
  u64 base;
  u64 pairs;
  u64 first_word;
  u64 out; // u64 *, added to
};

// The sum over all words of a hash of word and place: one value whatever the order of the additions.
extern "C" __global__ void __launch_bounds__(512) checksum(const ChecksumArgs args) {
  const u64 stride = (u64)gridDim.x * blockDim.x;
  u64 sum = 0;
  for (u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x; at < args.pairs; at += stride) {
    Pair pair = load_streaming((const Pair *)args.base + at);
    u64 index = args.first_word + 2 * at;
    sum += mix(pair.x ^ mix(index)) + mix(pair.y ^ mix(index + 1));
  }
  for (u32 offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xFFFFFFFFu, sum, offset);
  if ((threadIdx.x & 31) == 0) atomicAdd((u64 *)args.out, sum);
}

struct ChaseArgs {
  u64 base;  // u64 *, each word the index of the next
  u64 hops;
  u64 out;   // u64 *: where the chase ended, nanoseconds
};

extern "C" __global__ void __launch_bounds__(32) chase(const ChaseArgs args) {
  if (threadIdx.x != 0) return;
  const volatile u64 *base = (const volatile u64 *)args.base;
  u64 at = 0, began, ended;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(began));
  for (u64 hop = 0; hop < args.hops; hop++) at = base[at];
  // The timer is read only when the last hop has come in.
  asm volatile("{ .reg .u64 t; add.u64 t, %1, 0; mov.u64 %0, %%globaltimer; }" : "=l"(ended) : "l"(at));
  ((u64 *)args.out)[0] = at;
  ((u64 *)args.out)[1] = ended - began;
}

struct HangArgs {
  u64 flag; // u32 *: ends when it is not 0
};

// A kernel that does not end, to show that the host notices.
extern "C" __global__ void hang(const HangArgs args) {
  while (*(const volatile u32 *)args.flag == 0) __nanosleep(1000);
}
