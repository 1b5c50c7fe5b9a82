// Pictures of characters, for Environment::render.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// A canvas of characters; x goes right and y goes up, in units of the caller's own.
class Picture {
 public:
  Picture(int columns, int rows, double left, double bottom, double right, double top);

  void dot(double x, double y, char mark);
  void line(double x0, double y0, double x1, double y1, char mark);
  std::string text() const;  // rows from top to bottom, no spaces at their ends

 private:
  std::vector<std::string> lines_;
  double left_, bottom_, right_, top_;
};

// The map with '@' where the agent stands, one line a row.
std::string map_picture(std::vector<std::string> map, std::int64_t row, std::int64_t column);

// A number with three decimals and its sign, so that lines do not jump.
std::string shown(double value);

}  // namespace lathe
