// The list of ops and their cases, and how a case is written down.
#include <lathe/conform/op_cases.h>

namespace lathe::conform {

#define LATHE_ENTRY(name) Op::name,
std::vector<Op> all_ops() { return {LATHE_OPS(LATHE_ENTRY)}; }
#undef LATHE_ENTRY

#define LATHE_ENTRY(name) \
  case Op::name:          \
    return #name;
std::string name_of(Op op) {
  switch (op) { LATHE_OPS(LATHE_ENTRY) }
  return "?";
}
#undef LATHE_ENTRY

// These take the address of every specialisation; the link fails where one is missing.
#define LATHE_ENTRY(name) \
  template <>             \
  std::vector<Case> cases<Op::name>();
LATHE_OPS(LATHE_ENTRY)
#undef LATHE_ENTRY

#define LATHE_ENTRY(name) \
  case Op::name:          \
    return cases<Op::name>();
std::vector<Case> cases_of(Op op) {
  switch (op) { LATHE_OPS(LATHE_ENTRY) }
  return {};
}
#undef LATHE_ENTRY

View Operands::operator[](std::string_view name) const {
  const auto found = views.find(name);
  return found == views.end() ? View{} : found->second;
}

Operand& Case::add(std::string operand, Kind kind, Role role, const Shape& shape) {
  const double own = kind == Kind::element ? 1 : 0;
  operands.push_back({std::move(operand), kind, role, shape, -1, 1, false, {}, own});
  return operands.back();
}

Operand& Case::input(std::string operand, const Shape& shape, double low, double high) {
  Operand& made = add(std::move(operand), Kind::element, Role::input, shape);
  made.low = low;
  made.high = high;
  return made;
}
Operand& Case::wide_input(std::string operand, const Shape& shape, double low, double high) {
  Operand& made = input(std::move(operand), shape, low, high);
  made.kind = Kind::wide;
  return made;
}
Operand& Case::index(std::string operand, const Shape& shape, double low, double high) {
  Operand& made = input(std::move(operand), shape, low, high);
  made.kind = Kind::index;
  made.whole = true;
  return made;
}
Operand& Case::fixed(std::string operand, const std::vector<double>& values) {
  Operand& made = index(std::move(operand), {static_cast<std::int64_t>(values.size())}, 0, 1);
  made.values = values;
  return made;
}
Operand& Case::output(std::string operand, const Shape& shape) {
  return add(std::move(operand), Kind::element, Role::output, shape);
}
Operand& Case::wide_output(std::string operand, const Shape& shape) {
  return add(std::move(operand), Kind::wide, Role::output, shape);
}
Operand& Case::target(std::string operand, const Shape& shape) {
  return add(std::move(operand), Kind::element, Role::target, shape);
}
Operand& Case::wide_target(std::string operand, const Shape& shape) {
  return add(std::move(operand), Kind::wide, Role::target, shape);
}

}  // namespace lathe::conform
