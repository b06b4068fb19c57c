// What all kernels share: the pattern and operand functions, the log of wrong results, the faults committed on purpose.
//
// The Rust functions of the same names in `reference/` are the specification; both must give the same bits.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

struct alignas(16) Pair { u64 x, y; };

// Bound of a burn of 256 threads. It leaves a quarter of the registers to a block of the memory stream that runs beside it.
#define BESIDE_A_STREAM __maxnreg__(184)

// ---- the log of wrong results -------------------------------------------------------------------------------------

constexpr u32 LOG_RECORDS = 64;

struct Record {
  u64 iteration;
  u64 word;
  u64 expected;
  u64 found;
  u64 reread;
  u32 sm;
  u32 unit;
};

struct Log {
  u64 verified;
  u64 mismatches;
  u64 recorded; // records asked for; those beyond the last are dropped
  Record records[LOG_RECORDS];
};

__device__ __forceinline__ u32 sm_id() {
  u32 id;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
  return id;
}

__device__ __forceinline__ void log_record(Log *log, u64 iteration, u32 unit, u64 word, u64 expected, u64 found, u64 reread) {
  u64 at = atomicAdd(&log->recorded, 1ull);
  if (at < LOG_RECORDS) {
    Record *record = &log->records[at];
    record->iteration = iteration;
    record->word = word;
    record->expected = expected;
    record->found = found;
    record->reread = reread;
    record->sm = sm_id();
    record->unit = unit;
  }
}

__device__ __forceinline__ void log_wrong(Log *log, u64 iteration, u32 unit, u64 word, u64 expected, u64 found, u64 reread) {
  atomicAdd(&log->mismatches, 1ull);
  log_record(log, iteration, unit, word, expected, found, reread);
}

// ---- hashing --------------------------------------------------------------------------------------------------------

// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
__device__ __forceinline__ u64 mix(u64 x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// ---- operands -------------------------------------------------------------------------------------------------------

enum : u32 { OPERANDS_EXACT = 0, OPERANDS_RANDOM = 1, OPERANDS_TOGGLING = 2 };

// Bits that decide the element [row][column] of a matrix: 0 is A, 1.. are the tiles of B.
__device__ __forceinline__ u64 element_bits(u64 seed, u32 matrix, u32 row, u32 column) {
  return mix(seed ^ ((u64)matrix << 48) ^ ((u64)row << 24) ^ (u64)column);
}

// Zero-mean integers whose sums stay exact: -limit..limit.
__device__ __forceinline__ int element_int(u64 bits, u32 limit) {
  return (int)((bits >> 32) % (2 * limit + 1)) - (int)limit;
}

// Random sign and mantissa, exponent -2..1: zero mean, all low bits toggle.
__device__ __forceinline__ float element_float(u64 bits) {
  u32 word = ((u32)bits & 0x807FFFFFu) | ((125u + ((u32)(bits >> 32) & 3u)) << 23);
  return __uint_as_float(word);
}

// A float of which a neighbour is the complement in every bit: of the element beside it, above it, and of the same place in the
// next tile. The exponents 127 and 128 are each other's complement, so that sizes stay from 1 to 4. Two tiles share their
// bits; those of the next two have the other sign, or sums would run away.
__device__ __forceinline__ u32 element_toggling(u64 seed, u32 matrix, u32 row, u32 column) {
  u32 two = (matrix + 1) / 2;
  u32 word = 0x3F800000u | ((u32)element_bits(seed, two, row, column) & 0x7FFFFFu);
  if (__popc(row ^ column ^ (matrix & 1)) & 1) word = ~word;
  return word ^ (two << 31);
}

// What an element is where it is no integer.
__device__ __forceinline__ float element_real(u64 seed, u32 operands, u32 matrix, u32 row, u32 column) {
  if (operands == OPERANDS_TOGGLING) return __uint_as_float(element_toggling(seed, matrix, row, column));
  return element_float(element_bits(seed, matrix, row, column));
}

__device__ __forceinline__ u16 bf16_of(float value) {
  // Truncation: exact for the small integers, and one defined result for the other values.
  return (u16)(__float_as_uint(value) >> 16);
}

__device__ __forceinline__ u16 element_bf16(u64 seed, u32 operands, u32 limit, u32 matrix, u32 row, u32 column) {
  if (operands != OPERANDS_EXACT) return bf16_of(element_real(seed, operands, matrix, row, column));
  return bf16_of((float)element_int(element_bits(seed, matrix, row, column), limit));
}

// Exact elements for accumulators of few bits. A tile of B is the difference of two neighbours in a ring of smaller integers, as many
// as there are tiles: in a turn of all tiles every element adds up to nothing, and sums never grow, however long a window is.
__device__ __forceinline__ int element_ring(u64 seed, u32 limit, u32 tiles, u32 matrix, u32 row, u32 column) {
  // One tile has no neighbour.
  if (matrix == 0 || tiles == 1) return element_int(element_bits(seed, matrix, row, column), limit);
  u32 next = matrix == tiles ? 1 : matrix + 1;
  return element_int(element_bits(seed, matrix, row, column), limit / 2) - element_int(element_bits(seed, next, row, column), limit / 2);
}

// e4m3: sign, four bits of exponent with bias 7, three of mantissa. The integers -2..2 are 0, 1.0, 2.0 with a sign.
__device__ __forceinline__ u8 element_e4m3(u64 seed, u32 operands, u32 limit, u32 tiles, u32 matrix, u32 row, u32 column) {
  if (operands == OPERANDS_TOGGLING) {
    // The upper mantissa bits, with an exponent that is 7 where that of the float is 127, and 8 where it is 128.
    u32 word = element_toggling(seed, matrix, row, column);
    return (u8)((word >> 31 << 7) | (word >> 30 & 1 ? 0x40u : 0x38u) | (word >> 20 & 7));
  }
  u64 bits = element_bits(seed, matrix, row, column);
  if (operands == OPERANDS_EXACT) {
    int value = element_ring(seed, limit, tiles, matrix, row, column);
    u32 size = value < 0 ? -value : value;
    u32 code = size == 0 ? 0u : size == 1 ? 0x38u : 0x40u;
    return (u8)(code | (value < 0 ? 0x80u : 0u));
  }
  return (u8)(((u32)bits & 0x87u) | ((5u + ((u32)(bits >> 32) & 3u)) << 3));
}

// ---- burn -----------------------------------------------------------------------------------------------------------

enum : u32 { BURN_COMPARE = 0, BURN_RECORD = 1 };

struct BurnArgs {
  u64 log;           // Log *
  u64 golden;        // results row by row, as the bits of the accumulators, each in 32 (fp64: 64) bits
  u64 dump;          // one matrix like golden for each unit
  u64 sums;          // BURN_RECORD: one checksum for each unit
  u64 sms;           // BURN_RECORD: the multiprocessor of each unit, u32
  u64 seed;
  u64 first_window;  // number of the first window of this launch
  u64 inject_window; // the window in which one bit is flipped; all ones for none
  u32 windows;       // accumulators are started anew this often
  u32 steps;         // products of A with a tile of B in a window
  u32 tiles;         // tiles of B in rotation
  u32 operands;
  u32 limit;         // largest integer of the exact operands
  u32 mode;
  u32 inject_unit;
  u32 inject_word;
  u32 inject_bit;
  u32 slow;          // nanoseconds lost in each window
  u32 only_sm;       // 1 + the one multiprocessor that works; 0 for all
};

// Whether this block stands on a multiprocessor that is to do nothing. To be asked before anything else.
__device__ __forceinline__ bool left_out(const BurnArgs &args) { return args.only_sm != 0 && args.only_sm != 1 + sm_id(); }

__device__ __forceinline__ void lose_time(u32 nanos) {
  while (nanos > 0) {
    u32 part = nanos > 100000 ? 100000 : nanos;
    __nanosleep(part);
    nanos -= part;
  }
}

// At the end of a window every thread puts its accumulators into the unit's matrix in memory, and the unit looks at them
// there: a loop over words in memory costs no registers, which the products need. Neighbours go in one access.
__device__ __forceinline__ void put(const BurnArgs &args, u32 unit, u32 cells, u32 at, u32 a, u32 b) {
  *(uint2 *)((u32 *)args.dump + (u64)unit * cells + at) = make_uint2(a, b);
}

__device__ __forceinline__ void put(const BurnArgs &args, u32 unit, u32 cells, u32 at, u32 a, u32 b, u32 c, u32 d) {
  *(uint4 *)((u32 *)args.dump + (u64)unit * cells + at) = make_uint4(a, b, c, d);
}

__device__ __forceinline__ void put(const BurnArgs &args, u32 unit, u32 cells, u32 at, u64 a, u64 b) {
  *(ulonglong2 *)((u64 *)args.dump + (u64)unit * cells + at) = make_ulonglong2(a, b);
}

// Not for the compiler to merge with the second look.
__device__ __forceinline__ Pair load_first(const Pair *at) {
  Pair pair;
  asm volatile("ld.global.v2.u64 {%0, %1}, [%2];" : "=l"(pair.x), "=l"(pair.y) : "l"(at) : "memory");
  return pair;
}

// A second look at a word, past the first cache.
__device__ __forceinline__ u32 load_again(const u32 *at) {
  u32 word;
  asm volatile("ld.global.cv.u32 %0, [%1];" : "=r"(word) : "l"(at) : "memory");
  return word;
}

__device__ __forceinline__ u64 load_again(const u64 *at) {
  u64 word;
  asm volatile("ld.global.cv.u64 %0, [%1];" : "=l"(word) : "l"(at) : "memory");
  return word;
}

// The word at `at` of a pair of 64 bits.
template <typename Bits>
__device__ __forceinline__ Bits word_of(const Pair &pair, u32 at) {
  if (sizeof(Bits) == 8) return (Bits)(at == 0 ? pair.x : pair.y);
  return (Bits)((at < 2 ? pair.x : pair.y) >> (at % 2 * 32));
}

// Pairs that a thread has on their way at once when it looks at results.
constexpr u32 LOOK_UNROLL = 4;

// Compares what was put with what it must be, as bits, or sums it up. Every wrong word is counted; of one thread's wrong
// words of a window the first is recorded. To be called by all `threads` of the unit after a barrier, with another before
// results are put again. Every unit has a multiple of 4 pairs for each of its threads.
template <typename Bits>
__device__ __noinline__ void settle(const BurnArgs &args, u64 window, u32 unit, u32 cells, u32 thread, u32 threads) {
  constexpr u32 WORDS = 16 / sizeof(Bits);
  Log *log = (Log *)args.log;
  const u64 dump = args.dump + (u64)unit * cells * sizeof(Bits), golden = args.golden;
  const bool inject = window == args.inject_window && unit == args.inject_unit, record = args.mode == BURN_RECORD;
  u64 sum = 0;
  u32 wrong = 0;
  for (u32 first = thread; first < cells / WORDS; first += threads * LOOK_UNROLL) {
    Pair found[LOOK_UNROLL], right[LOOK_UNROLL];
    u64 unlike = 0;
#pragma unroll
    for (u32 k = 0; k < LOOK_UNROLL; k++) found[k] = load_first((const Pair *)dump + first + k * threads);
    if (!record) {
#pragma unroll
      for (u32 k = 0; k < LOOK_UNROLL; k++) right[k] = ((const Pair *)golden)[first + k * threads];
#pragma unroll
      for (u32 k = 0; k < LOOK_UNROLL; k++) unlike |= (found[k].x ^ right[k].x) | (found[k].y ^ right[k].y);
      if (unlike == 0 && !inject) continue;
    }
    // Rare but for recording: word by word, from memory, so that this path costs the other no registers.
#pragma unroll 1
    for (u32 word = 0; word < LOOK_UNROLL * WORDS; word++) {
      u32 k = word / WORDS, at = (first + k * threads) * WORDS + word % WORDS;
      Pair pair = k == 0 ? found[0] : k == 1 ? found[1] : k == 2 ? found[2] : found[3];
      Bits bits = word_of<Bits>(pair, word % WORDS);
      if (inject && at == args.inject_word) bits ^= (Bits)1 << args.inject_bit;
      if (record) {
        sum += mix((u64)bits ^ ((u64)at << 40));
      } else if (bits != ((const Bits *)golden)[at]) {
        if (wrong == 0) {
          log_record(log, window, unit, at, ((const Bits *)golden)[at], bits, load_again((const Bits *)dump + at));
        }
        wrong++;
      }
    }
  }
  if (wrong > 0) atomicAdd(&log->mismatches, (u64)wrong);
  if (record) atomicAdd(&((u64 *)args.sums)[unit], sum);
  if (thread == 0) {
    if (record) ((u32 *)args.sms)[unit] = sm_id();
    atomicAdd(&log->verified, (u64)cells);
  }
  if (args.slow) lose_time(args.slow);
}
