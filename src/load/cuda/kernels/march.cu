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

// Looks at `count` pairs again, word by word, by the definition of the pattern.
__device__ __noinline__ void march_pairs(const MarchArgs &args, const Pair *found, u64 pair, u64 step, u32 count) {
#pragma unroll 1
  for (u32 at = 0; at < 2 * count; at++) {
    u64 word = 2 * (pair + at / 2 * step) + at % 2, value = at % 2 == 0 ? found[at / 2].x : found[at / 2].y;
    u64 expected = pattern_word(args.expect, args.first_word + word);
    if (value == expected) continue;
    log_wrong((Log *)args.log, args.iteration, args.chunk, word, expected, value, load_again((const u64 *)args.base + word));
  }
}

// Where a thread is in a pattern. Each kind keeps what it needs to go on with few instructions; `advance` is by `step` pairs.
template <u32 KIND>
struct Place {
  __device__ __forceinline__ Place(const Pattern &, u64, u64) {}
  __device__ __forceinline__ void advance() {}
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    u64 word = pattern.parameter ^ pattern.invert;
    return {word, word};
  }
};

// Of the first word: its index, and the words to the next pair.
struct Index {
  u64 index, step;
  __device__ __forceinline__ Index(u64 index, u64 pairs) : index(index), step(2 * pairs) {}
  // Opaque, or the compiler keeps all multiples of the step in registers.
  __device__ __forceinline__ void advance() {
    index += step;
    asm("" : "+l"(index));
  }
};

template <>
struct Place<PATTERN_ADDRESS> : Index {
  __device__ __forceinline__ Place(const Pattern &, u64 index, u64 pairs) : Index(index * 8, pairs * 8) {}
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    return {index ^ pattern.invert, (index + 8) ^ pattern.invert};
  }
};

template <>
struct Place<PATTERN_RANDOM> : Index {
  __device__ __forceinline__ Place(const Pattern &, u64 index, u64 pairs) : Index(index, pairs) {}
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    return {mix(pattern.parameter ^ index) ^ pattern.invert, mix(pattern.parameter ^ (index + 1)) ^ pattern.invert};
  }
};

// The remainder goes on by addition: a division for every word would cost more than the memory.
template <>
struct Place<PATTERN_MODULO> {
  u32 rest, step, modulus;
  __device__ __forceinline__ Place(const Pattern &pattern, u64 index, u64 pairs)
      : rest(index % pattern.modulus), modulus(pattern.modulus) {
    // A step backwards is a negative number of pairs.
    u64 words = 2 * ((s64)pairs < 0 ? 0 - pairs : pairs) % modulus;
    step = (s64)pairs < 0 && words > 0 ? modulus - (u32)words : (u32)words;
  }
  // The sum may be as large as twice the modulus; both fit, as the modulus is at most 2^31.
  __device__ __forceinline__ void advance() {
    u32 sum = rest + step;
    rest = sum >= modulus ? sum - modulus : sum;
  }
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    u32 next = rest + 1 == modulus ? 0 : rest + 1;
    return {(rest == pattern.parameter ? ~0ull : 0ull) ^ pattern.invert, (next == pattern.parameter ? ~0ull : 0ull) ^ pattern.invert};
  }
};

template <>
struct Place<PATTERN_WALKING> {
  u32 index, step;
  __device__ __forceinline__ Place(const Pattern &, u64 index, u64 pairs) : index((u32)index), step(2 * (u32)pairs) {}
  __device__ __forceinline__ void advance() { index += step; }
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    u32 bit = index + (u32)pattern.parameter;
    return {(1ull << (bit & 63)) ^ pattern.invert, (1ull << (bit + 1 & 63)) ^ pattern.invert};
  }
};

// Any kind, looked up for every word: where what is expected and what is written are of different kinds.
constexpr u32 PATTERN_ANY = 5;

template <>
struct Place<PATTERN_ANY> : Index {
  __device__ __forceinline__ Place(const Pattern &, u64 index, u64 pairs) : Index(index, pairs) {}
  __device__ __forceinline__ Pair words(const Pattern &pattern) const {
    return {pattern_word(pattern, index), pattern_word(pattern, index + 1)};
  }
};

// Loads in flight for each thread, at most. 1024 threads of a multiprocessor with two have 32 KiB on the way: enough for
// GDDR7, of which each of 188 multiprocessors has 10 GB/s; HBM of Hopper and Blackwell has 36 to 54 GB/s for each.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
constexpr u32 UNROLL = 2;
#else
constexpr u32 UNROLL = 4;
#endif

__device__ __forceinline__ Pair *stepped(Pair *at, s32 step) {
  at += step;
  asm("" : "+l"(at));
  return at;
}

// `COUNT` pairs, `turn`s of this thread, from `at` on.
template <u32 KIND, u32 COUNT>
__device__ __forceinline__ void march_turns(const MarchArgs &args, Pair *at, s32 step, u32 turn, u32 inject_turn, Place<KIND> &place) {
  if (args.flags & MARCH_VERIFY) {
    Pair found[COUNT], *from = at;
#pragma unroll
    for (u32 k = 0; k < COUNT; k++, from = stepped(from, step)) found[k] = load_streaming(from);
    if (inject_turn - turn < COUNT) {
      u64 flip = 1ull << args.inject_bit;
#pragma unroll
      for (u32 k = 0; k < COUNT; k++) {
        if (inject_turn - turn != k) continue;
        found[k].x ^= args.inject_word & 1 ? 0 : flip;
        found[k].y ^= args.inject_word & 1 ? flip : 0;
      }
    }
    Place<KIND> look = place;
    u64 unlike = 0;
#pragma unroll
    for (u32 k = 0; k < COUNT; k++) {
      Pair expected = look.words(args.expect);
      unlike |= (found[k].x ^ expected.x) | (found[k].y ^ expected.y);
      look.advance();
    }
    if (unlike != 0) {
      // In memory, and in one call: registers that live through calls are few.
      Pair kept[COUNT];
#pragma unroll
      for (u32 k = 0; k < COUNT; k++) kept[k] = found[k];
      march_pairs(args, kept, at - (Pair *)args.base, (u64)(s64)step, COUNT);
    }
    if (!(args.flags & MARCH_WRITE)) place = look;
  }
  if (args.flags & MARCH_WRITE) {
    Pair *to = at;
#pragma unroll
    for (u32 k = 0; k < COUNT; k++, to = stepped(to, step)) {
      store_streaming(to, place.words(args.write));
      place.advance();
    }
  }
}

template <u32 KIND>
__device__ __forceinline__ void march_all(const MarchArgs &args, const Pattern &pattern, Pair *at, s32 step, u32 turns, u32 inject_turn) {
  Place<KIND> place(pattern, args.first_word + 2 * (at - (Pair *)args.base), (u64)(s64)step);
  // The one that computes most needs its registers for that.
  constexpr u32 COUNT = KIND == PATTERN_ANY ? 1 : KIND == PATTERN_RANDOM ? UNROLL / 2 : UNROLL;
  u32 turn = 0;
  if (COUNT > 1) {
#pragma unroll 1
    for (; turn + COUNT <= turns; turn += COUNT, at += (s64)COUNT * step) march_turns<KIND, COUNT>(args, at, step, turn, inject_turn, place);
  }
#pragma unroll 1
  for (; turn < turns; turn++, at += step) march_turns<KIND, 1>(args, at, step, turn, inject_turn, place);
}

// No sweep mixes kinds. This way only has to be right, and must not take registers from the others.
__device__ __noinline__ void march_mixed(const MarchArgs &args, Pair *at, s32 step, u32 turns, u32 inject_turn) {
  march_all<PATTERN_ANY>(args, args.expect, at, step, turns, inject_turn);
}

// Two blocks at once: half of the registers each, so that a block of half the threads also fits beside a burn.
extern "C" __global__ void __launch_bounds__(512, 2) march(const MarchArgs args) {
  const u64 stride = (u64)gridDim.x * blockDim.x;
  const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (args.slow) lose_time(args.slow);
  if (first < args.pairs) {
    // The pairs of this thread are `first`, `first` + `stride`, ...; downwards they are counted from the end.
    const bool down = args.flags & MARCH_DOWN;
    // A chunk is a few GiB: no thread has as many turns as 32 bits count.
    const u32 turns = (args.pairs - 1 - first) / stride + 1;
    // The turn in which this thread comes to the word that is to be spoiled, if it does.
    const u64 spoiled = down ? args.pairs - 1 - args.inject_word / 2 : args.inject_word / 2;
    const bool mine = args.inject_word < 2 * args.pairs && spoiled >= first && (spoiled - first) % stride == 0;
    const u32 inject_turn = mine ? (spoiled - first) / stride : ~0u;
    Pair *at = (Pair *)args.base + (down ? args.pairs - 1 - first : first);
    // The threads of a launch are fewer than 2^31.
    const s32 step = down ? -(s32)stride : (s32)stride;
    const bool both = (args.flags & MARCH_VERIFY) && (args.flags & MARCH_WRITE);
    const Pattern pattern = args.flags & MARCH_VERIFY ? args.expect : args.write;
    const bool alike = !both || (args.expect.kind == args.write.kind && args.expect.modulus == args.write.modulus);
    // One loop for each kind, chosen once.
    switch (alike ? pattern.kind : PATTERN_ANY) {
      case PATTERN_CONSTANT: march_all<PATTERN_CONSTANT>(args, pattern, at, step, turns, inject_turn); break;
      case PATTERN_ADDRESS: march_all<PATTERN_ADDRESS>(args, pattern, at, step, turns, inject_turn); break;
      case PATTERN_RANDOM: march_all<PATTERN_RANDOM>(args, pattern, at, step, turns, inject_turn); break;
      case PATTERN_MODULO: march_all<PATTERN_MODULO>(args, pattern, at, step, turns, inject_turn); break;
      case PATTERN_WALKING: march_all<PATTERN_WALKING>(args, pattern, at, step, turns, inject_turn); break;
      default: march_mixed(args, at, step, turns, inject_turn); break;
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
