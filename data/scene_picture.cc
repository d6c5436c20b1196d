#include "data/scene_picture.h"

#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "absl/strings/str_cat.h"

namespace rein::data {
namespace {

// Units of a picture 32 wide, in which everything below is measured.
constexpr double kUnits = 32.0;

struct Brush {
  cv::Mat canvas;  // 8-bit RGB
  double scale;    // pixels per unit

  cv::Point At(double x, double y) const { return {cvRound(x * scale), cvRound(y * scale)}; }
  int Length(double units) const { return std::max(1, cvRound(units * scale)); }
  void Polygon(const std::vector<cv::Point>& corners, const cv::Scalar& colour) {
    cv::fillPoly(canvas, std::vector<std::vector<cv::Point>>{corners}, colour);
  }
};

double Between(CounterRandom& random, double low, double high) {
  return low + (high - low) * random.Uniform();
}

cv::Scalar ColourOf(const std::string& name, CounterRandom& random) {
  cv::Scalar colour(240, 240, 240);  // white
  if (name == "red") colour = {215, 35, 35};
  if (name == "green") colour = {30, 160, 50};
  if (name == "blue") colour = {40, 70, 215};
  if (name == "purple") colour = {140, 40, 170};
  if (name == "pink") colour = {245, 130, 185};
  for (int c = 0; c < 3; ++c) colour[c] += Between(random, -12, 12);
  return colour;
}

void DrawShape(const std::string& shape, double x, double y, double r, const cv::Scalar& colour,
               Brush& brush) {
  if (shape == "circle") {
    cv::circle(brush.canvas, brush.At(x, y), brush.Length(r), colour, cv::FILLED);
  } else if (shape == "square") {
    cv::rectangle(brush.canvas, brush.At(x - 0.9 * r, y - 0.9 * r), brush.At(x + 0.9 * r, y + 0.9 * r),
                  colour, cv::FILLED);
  } else if (shape == "triangle") {
    brush.Polygon({brush.At(x, y - r), brush.At(x + r, y + r), brush.At(x - r, y + r)}, colour);
  } else {
    const double arm = 0.33 * r;
    cv::rectangle(brush.canvas, brush.At(x - r, y - arm), brush.At(x + r, y + arm), colour, cv::FILLED);
    cv::rectangle(brush.canvas, brush.At(x - arm, y - r), brush.At(x + arm, y + r), colour, cv::FILLED);
  }
}

// Yellow triangle with a black border and stroke, in the square of 8 units whose corner is (x, y).
void DrawHazard(double x, double y, Brush& brush) {
  brush.Polygon({brush.At(x + 4, y), brush.At(x + 8, y + 8), brush.At(x, y + 8)}, {10, 10, 10});
  brush.Polygon({brush.At(x + 4, y + 2), brush.At(x + 6.6, y + 7), brush.At(x + 1.4, y + 7)}, {250, 220, 0});
  cv::line(brush.canvas, brush.At(x + 4, y + 4), brush.At(x + 4, y + 5), {10, 10, 10}, 1);
}

// White card with one letter: text that means nothing.
void DrawLabel(double x, double y, CounterRandom& random, Brush& brush) {
  cv::rectangle(brush.canvas, brush.At(x, y), brush.At(x + 7, y + 7), {250, 250, 250}, cv::FILLED);
  const std::string letter(1, static_cast<char>('A' + random.Below(26)));
  cv::putText(brush.canvas, letter, brush.At(x + 1, y + 6), cv::FONT_HERSHEY_PLAIN, 0.5 * brush.scale,
              {20, 20, 20}, 1);
}

cv::Mat Draw(const Scene& scene, int size, CounterRandom& random) {
  const double shade = Between(random, 95, 135);
  Brush brush{cv::Mat(size, size, CV_8UC3, cv::Scalar(shade, shade, shade + Between(random, -8, 8))),
              size / kUnits};
  const double x = Between(random, 14, 18), y = Between(random, 14, 18), r = Between(random, 7, 9);
  DrawShape(scene.shape, x, y, r, ColourOf(scene.colour, random), brush);
  const double left = random.Below(2) == 0 ? Between(random, 0, 1) : Between(random, 22, 23);
  const double top = random.Below(2) == 0 ? Between(random, 0, 1) : Between(random, 22, 23);
  if (scene.hazard) DrawHazard(left, top, brush);
  if (scene.label) DrawLabel(left, top, random, brush);
  return brush.canvas;
}

}  // namespace

absl::StatusOr<std::string> RenderScene(const Scene& scene, int size, CounterRandom& random) {
  try {
    const cv::Mat canvas = Draw(scene, size, random);
    const uint8_t* first = canvas.ptr<uint8_t>();
    return EncodePng({size, size, Pixels(first, first + 3 * canvas.total())});
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the picture cannot be drawn: ", error.what()));
  }
}

}  // namespace rein::data
