#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "../../../csrc/kernels/softmax_top_k.h"
#include "random.h"

namespace hwrt {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Best {
  std::vector<std::int32_t> classes;
  std::vector<float> scores;
};

Best best_of(const std::vector<float>& row, std::ptrdiff_t k, bool softmax) {
  const auto count = static_cast<std::ptrdiff_t>(row.size());
  Best best{std::vector<std::int32_t>(static_cast<std::size_t>(k)),
            std::vector<float>(static_cast<std::size_t>(k))};
  softmax_top_k({row.data(), 1, count, count}, k, softmax, best.classes.data(), best.scores.data());
  return best;
}

std::vector<std::int32_t> order_of(const std::vector<float>& row) {
  std::vector<std::int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](std::int32_t i) {
    const float logit = row[static_cast<std::size_t>(i)];
    return std::isnan(logit) ? -HUGE_VALF : logit;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return key(a) > key(b); });
  return order;
}

TEST_CASE("the k best classes are those of a stable sort") {
  Random random(1);
  for (std::size_t count = 1; count < 70; ++count) {
    auto row = random.floats(static_cast<std::ptrdiff_t>(count), -4, 4);
    for (std::size_t i = 0; i < count; i += 5) row[i] = std::floor(row[i]);
    if (count > 9) row[3] = kNan, row[7] = -HUGE_VALF, row[count - 1] = HUGE_VALF;
    const std::vector<std::int32_t> order = order_of(row);
    for (std::size_t k = 1; k <= count; k = k * 2 + 1) {
      const Best best = best_of(row, static_cast<std::ptrdiff_t>(k), false);
      REQUIRE(std::equal(best.classes.begin(), best.classes.end(), order.begin()));
    }
  }
}

TEST_CASE("probabilities are within four ulp of the definition") {
  Random random(2);
  for (const std::ptrdiff_t count : {1, 2, 3, 5, 8, 9, 17, 1000, 1001}) {
    const auto row = random.floats(count, -30, 30);
    const Best best = best_of(row, count, true);
    const float top = *std::max_element(row.begin(), row.end());
    double total = 0;
    for (const float logit : row) total += std::exp(static_cast<double>(logit - top));
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float logit = row[static_cast<std::size_t>(best.classes[i])];
      const double exact = std::exp(static_cast<double>(logit - top)) / total;
      const float near = static_cast<float>(exact);
      const double ulp = std::nextafter(near, HUGE_VALF) - near;
      REQUIRE(std::fabs(best.scores[i] - exact) <= 4 * ulp);
    }
  }
}

TEST_CASE("infinities share the probability, and a row without numbers has none") {
  CHECK(best_of({3, HUGE_VALF, kNan, HUGE_VALF}, 3, true).scores ==
        std::vector<float>{0.5, 0.5, 0});
  for (const float score : best_of({kNan, -HUGE_VALF, kNan}, 3, true).scores) {
    CHECK(std::isnan(score));
  }
}

TEST_CASE("rows may lie at any stride, backwards too") {
  Random random(3);
  const auto memory = random.floats(5 * 20, -4, 4);
  std::int32_t classes[5];
  float scores[5];
  softmax_top_k({memory.data() + 80, 5, 11, -20}, 1, false, classes, scores);
  for (int row = 0; row < 5; ++row) {
    const auto begin = memory.begin() + 80 - 20 * row;
    CHECK(scores[row] == *std::max_element(begin, begin + 11));
  }
}

}  // namespace
}  // namespace hwrt
