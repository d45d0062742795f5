// The order of scores, worked out as far as it is needed.
#ifndef HWRT_CSRC_KERNELS_RANKING_H_
#define HWRT_CSRC_KERNELS_RANKING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hwrt {

// The numbers of scores by falling score, equal ones by rising number, sorted only as far as they
// are asked for.
//
// Scores are above 0, so their bits rise as they do.  They are dealt into buckets by the leading
// ones of these bits; a bucket is sorted when it is reached.
class Ranking {
 public:
  static constexpr std::ptrdiff_t kBuckets = 2048;
  static constexpr std::ptrdiff_t kEnds = kBuckets + 2;

  // Of count scores above 0.  keys (count) and ends (kEnds) are the caller's, and used until the
  // last next().
  Ranking(const float* scores, std::ptrdiff_t count, std::uint64_t* keys,
          std::int32_t* ends) noexcept
      : keys_(keys), ends_(ends) {
    constexpr std::ptrdiff_t kFew = 64;  // are sorted at once
    std::uint32_t low = ~0u, high = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      low = std::min(low, bits_of(scores[i]));
      high = std::max(high, bits_of(scores[i]));
    }
    int shift = 0;
    while (count > kFew && ((high - low) >> shift) >= kBuckets) ++shift;
    if (count <= kFew) shift = 31;
    buckets_ = count == 0 ? 0 : static_cast<std::ptrdiff_t>((high - low) >> shift) + 1;

    std::fill(ends_, ends_ + buckets_ + 1, 0);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      ++ends_[((high - bits_of(scores[i])) >> shift) + 1];
    }
    for (std::ptrdiff_t b = 0; b < buckets_; ++b) ends_[b + 1] += ends_[b];
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const std::uint32_t below = high - bits_of(scores[i]);
      keys_[ends_[below >> shift]++] = std::uint64_t{below} << 32 | static_cast<std::uint64_t>(i);
    }
  }

  // The next number; there is one.
  std::ptrdiff_t next() noexcept {
    while (at_ == end_) {
      end_ = ends_[bucket_++];
      if (!std::is_sorted(keys_ + at_, keys_ + end_)) std::sort(keys_ + at_, keys_ + end_);
    }
    return static_cast<std::ptrdiff_t>(keys_[at_++] & 0xffffffffu);
  }

 private:
  static std::uint32_t bits_of(float score) {
    std::uint32_t bits;
    std::memcpy(&bits, &score, sizeof bits);
    return bits;
  }

  std::uint64_t* keys_;
  std::int32_t* ends_;
  std::ptrdiff_t buckets_ = 0, bucket_ = 0, at_ = 0, end_ = 0;
};

}  // namespace hwrt

#endif  // HWRT_CSRC_KERNELS_RANKING_H_
