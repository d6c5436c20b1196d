#include "base/hash.h"

#include "gtest/gtest.h"

namespace rein {
namespace {

TEST(Hash, Sha256OfAbcIsTheStandardsVector) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hash, Sha256OfPiecesIsThatOfTheWhole) {
  Sha256 sha;
  for (const char* piece : {"", "a", "bc"}) sha.Add(piece);
  EXPECT_EQ(sha.Hex(), Sha256Hex("abc"));
}

TEST(Hash, Crc32cOfDigitsIsTheStandardsCheckValue) { EXPECT_EQ(Crc32c("123456789"), 0xe3069283u); }

TEST(Hash, Crc32cContinues) { EXPECT_EQ(Crc32c("56789", Crc32c("1234")), Crc32c("123456789")); }

TEST(Hash, UniformStaysInsideTheOpenInterval) {
  EXPECT_GT(UniformFromBits(0), 0.0);
  EXPECT_LT(UniformFromBits(~uint64_t{0}), 1.0);
}

TEST(Hash, CounterRandomContinuesFromItsCounter) {
  CounterRandom whole(7);
  for (int i = 0; i < 5; ++i) whole.Bits();
  CounterRandom resumed(7, whole.counter());
  EXPECT_EQ(whole.Bits(), resumed.Bits());
}

TEST(Hash, BelowIsRoughlyUniform) {
  CounterRandom random(11);
  int counts[10] = {};
  for (int i = 0; i < 10000; ++i) ++counts[random.Below(10)];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace rein
