#include "softmax_top_k.h"

#include <cstring>
#include <limits>

#include "target.h"
#include "target_region.h"

namespace hwrt {
namespace {

using std::int32_t;
using std::ptrdiff_t;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// exp as in Cephes' expf.c (S. Moshier, netlib.org/cephes): x = n * ln 2 + r with ln 2 in two
// parts, a polynomial of degree 7 for e**r with |r| <= ln 2 / 2, then the exponent n.  Within 2
// ulp.
constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
constexpr float kExp[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                           4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
// Added to a small number, 1.5 * 2**23 rounds it to a whole one, which stands in the low bits.
constexpr float kRounder = 12582912.0f;
// Above ln(FLT_MIN) = -87.34, so that no result is subnormal.
constexpr float kLeastExponent = -87.0f;

// exp of what is at most 0; 0 below kLeastExponent and for NaN.
float exp_scalar(float x) {
  if (!(x >= kLeastExponent)) return 0.0f;
  const float n_bits = x * kLog2E + kRounder;
  const float n = n_bits - kRounder;
  const float r = x - n * kLn2High - n * kLn2Low;
  float y = kExp[0];
  for (int i = 1; i < 6; ++i) y = y * r + kExp[i];
  y = y * (r * r) + (r + 1.0f);
  std::uint32_t bits, exponent;
  std::memcpy(&bits, &y, sizeof bits);
  std::memcpy(&exponent, &n_bits, sizeof exponent);
  bits += exponent << 23;
  std::memcpy(&y, &bits, sizeof bits);
  return y;
}

// The k best of the classes seen so far, as a heap in the caller's outputs with the worst at its
// root.  Classes are offered in rising order, so of two equal ones the later is the worse.
struct Best {
  ptrdiff_t k;
  int32_t* classes;
  float* keys;

  float worst() const { return keys[0]; }

  void start(const float* row) {
    for (ptrdiff_t i = 0; i < k; ++i) {
      classes[i] = static_cast<int32_t>(i);
      keys[i] = row[i] >= -kInfinity ? row[i] : -kInfinity;  // NaN ranks as -inf
    }
    for (ptrdiff_t i = k / 2; i-- > 0;) sink(i, k, keys[i], classes[i]);
  }

  void offer(float key, int32_t index) {
    if (key > worst()) sink(0, k, key, index);
  }

  // Best first: the worst goes behind the heap, which is one smaller then.
  void sort() {
    for (ptrdiff_t size = k - 1; size > 0; --size) {
      const float key = keys[size];
      const int32_t index = classes[size];
      keys[size] = keys[0];
      classes[size] = classes[0];
      sink(0, size, key, index);
    }
  }

 private:
  static bool worse(float key, int32_t index, float than_key, int32_t than_index) {
    return key < than_key || (key == than_key && index > than_index);
  }

  // Puts (key, index) at position i, or below it where it is not worse than its children.
  void sink(ptrdiff_t i, ptrdiff_t size, float key, int32_t index) {
    for (ptrdiff_t child = 2 * i + 1; child < size; child = 2 * i + 1) {
      const ptrdiff_t other = child + 1;
      if (other < size && worse(keys[other], classes[other], keys[child], classes[child])) {
        child = other;
      }
      if (!worse(keys[child], classes[child], key, index)) break;
      keys[i] = keys[child];
      classes[i] = classes[child];
      i = child;
    }
    keys[i] = key;
    classes[i] = index;
  }
};

// Leaves the k best in best, best first, their keys being the logits with NaN as -inf.
using Select = void (*)(const float* row, ptrdiff_t count, Best best);
// The sum of exp(x - max) over the row; max is finite and no logit is higher.
using SumExp = double (*)(const float* row, ptrdiff_t count, float max);

struct Variant {
  Select select;
  SumExp sum_exp;
};

namespace scalar {

void select(const float* row, ptrdiff_t count, Best best) {
  best.start(row);
  for (ptrdiff_t i = best.k; i < count; ++i) best.offer(row[i], static_cast<int32_t>(i));
  best.sort();
}

double sum_exp(const float* row, ptrdiff_t count, float max) {
  double total = 0.0;
  for (ptrdiff_t i = 0; i < count; ++i) total += exp_scalar(row[i] - max);
  return total;
}

constexpr Variant kVariant{select, sum_exp};

}  // namespace scalar

#define HWRT_PASSES "passes/softmax_top_k.inc"
#include "each_target.inc"

// Turns the row's best keys into probabilities.
void weigh(const float* row, ptrdiff_t count, Best best, SumExp sum_exp) {
  float* scores = best.keys;
  const float max = scores[0];
  if (max == -kInfinity) {
    for (ptrdiff_t j = 0; j < best.k; ++j) scores[j] = kNan;
  } else if (max == kInfinity) {
    ptrdiff_t infinities = 0;
    for (ptrdiff_t i = 0; i < count; ++i) infinities += row[i] == kInfinity;
    const float share = static_cast<float>(1.0 / static_cast<double>(infinities));
    for (ptrdiff_t j = 0; j < best.k; ++j) scores[j] = scores[j] == kInfinity ? share : 0.0f;
  } else {
    const double total = sum_exp(row, count, max);
    for (ptrdiff_t j = 0; j < best.k; ++j) {
      scores[j] = static_cast<float>(exp_scalar(scores[j] - max) / total);
    }
  }
}

}  // namespace

void softmax_top_k(const Logits& logits, ptrdiff_t k, bool softmax, int32_t* classes,
                   float* scores) noexcept {
  const Variant variant = current_variant();
  for (ptrdiff_t r = 0; r < logits.rows; ++r) {
    const float* row = logits.data + r * logits.row_stride;
    const Best best{k, classes + r * k, scores + r * k};
    variant.select(row, logits.count, best);
    if (softmax) {
      weigh(row, logits.count, best, variant.sum_exp);
    } else {
      for (ptrdiff_t j = 0; j < k; ++j) best.keys[j] = row[best.classes[j]];
    }
  }
}

}  // namespace hwrt
