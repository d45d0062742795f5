// Runs softmax_top_k on float32 rows from stdin and writes its classes, then its scores, to stdout.
//
//   neon_check TARGET ROWS COUNT K SOFTMAX
//
// test_neon.py builds it for aarch64 and runs it under an emulator.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../csrc/kernels/softmax_top_k.h"
#include "../../csrc/kernels/target.h"

int main(int argc, char** argv) {
  hwrt::Target target;
  if (argc != 6 || !hwrt::parse_target(argv[1], &target)) return 2;
  hwrt::limit_target(target);
  if (hwrt::current_target() != target) return 3;
  const long rows = std::atol(argv[2]), count = std::atol(argv[3]), k = std::atol(argv[4]);
  std::vector<float> logits(rows * count), scores(rows * k);
  std::vector<std::int32_t> classes(rows * k);
  if (std::fread(logits.data(), sizeof(float), logits.size(), stdin) != logits.size()) return 4;
  hwrt::softmax_top_k({logits.data(), rows, count, count}, k, std::atoi(argv[5]) != 0,
                      classes.data(), scores.data());
  std::fwrite(classes.data(), sizeof(std::int32_t), classes.size(), stdout);
  std::fwrite(scores.data(), sizeof(float), scores.size(), stdout);
  return 0;
}
