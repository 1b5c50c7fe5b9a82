#include <lathe/learn/picture.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lathe {

Picture::Picture(int columns, int rows, double left, double bottom, double right, double top)
    : lines_(static_cast<std::size_t>(rows), std::string(static_cast<std::size_t>(columns), ' ')),
      left_(left),
      bottom_(bottom),
      right_(right),
      top_(top) {}

void Picture::dot(double x, double y, char mark) {
  const auto columns = static_cast<double>(lines_[0].size());
  const auto rows = static_cast<double>(lines_.size());
  const double column = std::floor((x - left_) / (right_ - left_) * columns);
  const double row = std::floor((top_ - y) / (top_ - bottom_) * rows);
  if (!(column >= 0 && column < columns && row >= 0 && row < rows)) return;
  lines_[static_cast<std::size_t>(row)][static_cast<std::size_t>(column)] = mark;
}

void Picture::line(double x0, double y0, double x1, double y1, char mark) {
  const int points = static_cast<int>(2 * std::max(lines_.size(), lines_[0].size()));
  for (int i = 0; i <= points; ++i) {
    const double part = static_cast<double>(i) / points;
    dot(x0 + part * (x1 - x0), y0 + part * (y1 - y0), mark);
  }
}

std::string Picture::text() const {
  std::string text;
  for (const std::string& line : lines_) {
    const std::size_t end = line.find_last_not_of(' ');
    text += line.substr(0, end == std::string::npos ? 0 : end + 1) + '\n';
  }
  return text;
}

std::string map_picture(std::vector<std::string> map, std::int64_t row, std::int64_t column) {
  map.at(static_cast<std::size_t>(row)).at(static_cast<std::size_t>(column)) = '@';
  std::string text;
  for (const std::string& line : map) text += line + '\n';
  return text;
}

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.3f", value);
  return text;
}

}  // namespace lathe
