// The contract of a backend, op by op: each op of LATHE_OPS has cases, and each case is run on the
// backend under test and, in f64, on the reference, with the same inputs.
//
// What is checked (and nothing else is promised):
//  - results: f64 within 1e-12, f32 within 1e-5 of the norm of each output; bf16 within
//    roundings * 2^-8 (see Operand); with exactly representable sums, no error at all;
//  - layouts: dense, slices, transposed axes, repeated inputs; guard bytes around and between the
//    elements of an output stay, and inputs are not written;
//  - targets: overwriting (even what was NaN) and adding;
//  - the same bits run to run and at 1, 2, 4 and 8 threads;
//  - gradient ops of the reference against central differences of the forward op in f64.
#pragma once

#include <lathe/conform/host_tensor.h>
#include <lathe/tensor/op_list.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lathe::conform {

#define LATHE_ENTRY(name) name,
enum class Op : std::uint8_t { LATHE_OPS(LATHE_ENTRY) };
#undef LATHE_ENTRY

std::vector<Op> all_ops();
std::string name_of(Op op);

enum class Kind : std::uint8_t { element, wide, bf16, index };
// An output is overwritten, a target overwritten or added to, an updated operand read and written.
enum class Role : std::uint8_t { input, output, target, updated };

struct Operand {
  std::string name;
  Kind kind = Kind::element;
  Role role = Role::input;
  Shape shape;
  double low = -1;  // random values in [low, high), or these values
  double high = 1;
  bool whole = false;  // integers
  std::vector<double> values;
  // For bf16: how many values on the way to this one may have been rounded to bf16. Each has a
  // relative error of 2^-9; the bound allows 2^-8. 1 for an element (its own), 0 for a wide one.
  double roundings = 0;
};

// What a case's functions get: the operands by name. One that was not declared is no view.
class Operands {
 public:
  View operator[](std::string_view name) const;
  Target target(std::string_view name) const { return {(*this)[name], adds_}; }

  std::map<std::string, View, std::less<>> views;
  bool adds_ = false;
};

struct Case {
  std::string name;
  std::vector<Operand> operands{};
  std::function<void(Backend&, const Operands&)> call{};
  // Fills inputs that follow from others (statistics of the forward op), on the reference in f64.
  std::function<void(Backend&, const Operands&)> prepare{};
  std::vector<Layout> layouts{Layout::dense, Layout::sliced, Layout::transposed};

  bool exact = false;         // every sum is representable: no error allowed
  bool wide_only = false;     // has no operand of the element type: bf16 would repeat f32
  bool zero_allowed = false;  // the results are zeros by intent

  // For gradient ops: the scalar whose derivative by the second operand is the first's value.
  std::function<double(Backend&, const Operands&)> objective{};
  std::vector<std::pair<std::string, std::string>> gradients{};

  Operand& add(std::string operand, Kind kind, Role role, const Shape& shape);
  Operand& input(std::string operand, const Shape& shape, double low = -1, double high = 1);
  Operand& wide_input(std::string operand, const Shape& shape, double low = -1, double high = 1);
  Operand& index(std::string operand, const Shape& shape, double low, double high);
  Operand& fixed(std::string operand, const std::vector<double>& values);  // [n] i32
  Operand& output(std::string operand, const Shape& shape);
  Operand& wide_output(std::string operand, const Shape& shape);
  Operand& target(std::string operand, const Shape& shape);
  Operand& wide_target(std::string operand, const Shape& shape);
};

// The cases of an op. Every op needs its own specialisation: one missing fails the link.
template <Op op>
std::vector<Case> cases();
std::vector<Case> cases_of(Op op);

// Each returns what failed, in words that name op, case, dtype, index and both values. `most`
// bounds how many cases are tried; 0: all.
std::vector<std::string> check_results(Op op, Backend& tested, Backend& reference,
                                       std::size_t most = 0);
std::vector<std::string> check_same_bits(Op op, Backend& tested);
std::vector<std::string> check_gradients(Op op, Backend& reference);

// Results and bits of every op; throws Error with all failures in its text.
void run_backend_suite(Backend& tested, Backend& reference, const std::vector<Op>& ops = all_ops());

// sum of a times b, on the host; f64 views of equal shape.
double dot(const View& a, const View& b);

}  // namespace lathe::conform
