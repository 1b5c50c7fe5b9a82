// Standard error shared by the log and the progress line, without the two tearing each other.
#pragma once

#include <string_view>

namespace lathe {

// Whether standard error is a terminal that takes control sequences (not TERM=dumb).
bool terminal_is_live();
// Whether colours are wanted there: live, and NO_COLOR is unset or empty.
bool terminal_has_colour();
// Columns of the terminal; 80 where it does not tell.
int terminal_width();

// Writes one whole line (the line feed is added); a status line is cleared before and redrawn
// after.
void terminal_line(std::string_view line);
// Draws a status line in place of the last one; empty removes it. Only on a live terminal.
void terminal_status(std::string_view line);

}  // namespace lathe
