#include <lathe/conform/op_cases.h>

#include <lathe/base/threads.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

namespace lathe::conform {
namespace {
constexpr double f64_tolerance = 1e-12;
constexpr double f32_tolerance = 1e-5;
constexpr double gradient_tolerance = 1e-6;
constexpr double bf16_step = 1.0 / 256;

DType dtype_for(Kind kind, DType element) {
  switch (kind) {
    case Kind::element:
      return element;
    case Kind::wide:
      return element == DType::f64 ? DType::f64 : DType::f32;
    case Kind::bf16:
      return DType::bf16;
    case Kind::index:
      return DType::i32;
  }
  return element;
}

std::vector<double> values_for(const Case& test, const Operand& operand) {
  if (!operand.values.empty()) return operand.values;
  const RandomStream stream(1, cat(test.name, "/", operand.name));
  std::vector<double> values;
  for (std::int64_t i = 0; i < operand.shape.count(); ++i) {
    const double share = stream.uniform53(static_cast<std::uint64_t>(i));
    const double value = operand.low + share * (operand.high - operand.low);
    values.push_back(operand.whole ? std::floor(value) : value);
  }
  return values;
}

// The operands of a case on one backend.
class Instance {
 public:
  Instance(const Case& test, Backend& backend, DType element, Layout layout, bool adds)
      : test_(test), backend_(backend) {
    operands_.adds_ = adds;
    for (const Operand& operand : test.operands) {
      const bool repeats = layout == Layout::broadcast;
      const bool repeatable = operand.role == Role::input && operand.kind == Kind::element;
      tensors_.push_back(
          std::make_unique<HostTensor>(backend, dtype_for(operand.kind, element), operand.shape,
                                       repeats && !repeatable ? Layout::dense : layout));
      operands_.views[operand.name] = tensors_.back()->view();
    }
  }

  void fill() {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      tensors_[i]->set(values_for(test_, test_.operands[i]));
    }
  }
  // Inputs as another instance holds them.
  void fill_like(const Instance& other) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i]->set(other.tensors_[i]->get());
  }
  // What is to be overwritten must not be read.
  void spoil_outputs() {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      const Role role = test_.operands[i].role;
      const bool overwritten = role == Role::output || (role == Role::target && !operands_.adds_);
      const bool whole = tensors_[i]->view().dtype == DType::i32;
      if (!overwritten) continue;
      const double bad = whole ? -77 : std::numeric_limits<double>::quiet_NaN();
      tensors_[i]->set(std::vector<double>(tensors_[i]->get().size(), bad));
    }
  }
  void call() {
    test_.call(backend_, operands_);
    backend_.synchronise();
  }

  HostTensor& tensor(std::size_t i) { return *tensors_[i]; }
  HostTensor& tensor(const std::string& name) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (test_.operands[i].name == name) return *tensors_[i];
    }
    fail("the case ", test_.name, " has no operand ", name);
  }
  const Operands& operands() const { return operands_; }

 private:
  const Case& test_;
  Backend& backend_;
  std::vector<std::unique_ptr<HostTensor>> tensors_;
  Operands operands_;
};

// A tested instance and a dense f64 one on the reference, with equal inputs.
struct Pair {
  Instance tested;
  Instance truth;

  Pair(const Case& test, Backend& backend, Backend& reference, DType element, Layout layout,
       bool adds)
      : tested(test, backend, element, layout, adds),
        truth(test, reference, DType::f64, Layout::dense, adds) {
    tested.fill();
    truth.fill_like(tested);
    if (test.prepare) {
      test.prepare(reference, truth.operands());
      tested.fill_like(truth);
      truth.fill_like(tested);
    }
    tested.spoil_outputs();
    truth.spoil_outputs();
  }
};

double tolerance_for(const Case& test, const Operand& operand, DType element) {
  if (test.exact || operand.kind == Kind::index) return 0;
  if (operand.kind == Kind::bf16) return bf16_step;  // a copy of a parameter
  if (element == DType::f64) return f64_tolerance;
  if (element == DType::f32) return f32_tolerance;
  return f32_tolerance + operand.roundings * bf16_step;
}

// "" when every value is within tolerance of the norm; infinities must agree.
std::string difference(const std::vector<double>& got, const std::vector<double>& wanted,
                       double tolerance) {
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == wanted[i] && std::isinf(got[i])) continue;
    const double apart = got[i] - wanted[i];
    error += apart * apart;
    norm += wanted[i] * wanted[i];
  }
  const double allowed = tolerance * std::sqrt(norm);
  if (std::sqrt(error) <= allowed) return "";
  const double each = allowed / std::sqrt(static_cast<double>(got.size()));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == wanted[i] || std::abs(got[i] - wanted[i]) <= each) continue;
    return cat("element ", i, " of ", got.size(), " is ", got[i], ", the reference has ", wanted[i],
               " (error of the whole ", std::sqrt(error), ", allowed ", allowed, ")");
  }
  return cat("error of the whole ", std::sqrt(error), ", allowed ", allowed);
}

bool all_zero(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
}

std::vector<std::string> compare(const Case& test, Pair& pair, DType element, bool may_be_zero,
                                 const std::vector<std::vector<std::uint64_t>>& before) {
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < test.operands.size(); ++i) {
    const Operand& operand = test.operands[i];
    HostTensor& tensor = pair.tested.tensor(i);
    if (!tensor.guards_intact()) {
      failures.push_back(cat(operand.name, ": bytes outside its elements were written"));
    }
    if (operand.role == Role::input) {
      if (tensor.bits() != before[i]) {
        failures.push_back(cat(operand.name, ": an input was written"));
      }
      continue;
    }
    const std::vector<double> wanted = pair.truth.tensor(i).get();
    const std::string text =
        difference(tensor.get(), wanted, tolerance_for(test, operand, element));
    if (!text.empty()) failures.push_back(cat(operand.name, ": ", text));
    if (wanted.size() > 8 && !may_be_zero && all_zero(wanted)) {
      failures.push_back(cat(operand.name, ": all zeros, so that the case shows nothing"));
    }
  }
  return failures;
}

bool has_targets(const Case& test) {
  return std::any_of(test.operands.begin(), test.operands.end(),
                     [](const Operand& operand) { return operand.role == Role::target; });
}

std::vector<DType> dtypes_for(const Case& test, Backend& backend) {
  std::vector<DType> dtypes;
  // The bf16 copy that an optimizer refreshes: nobody asks it of a backend without bf16.
  const bool has_bf16 =
      std::any_of(test.operands.begin(), test.operands.end(),
                  [](const Operand& operand) { return operand.kind == Kind::bf16; });
  if (has_bf16 && !backend.supports(DType::bf16)) return dtypes;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    if (dtype == DType::bf16 && test.wide_only) continue;
    if (backend.supports(dtype)) dtypes.push_back(dtype);
  }
  return dtypes;
}

// Runs body and turns an exception into a failure.
template <class Body>
void guarded(const std::string& where, std::vector<std::string>& failures, Body body) {
  try {
    for (const std::string& text : body()) failures.push_back(where + ": " + text);
  } catch (const std::exception& error) {
    failures.push_back(where + ": threw \"" + error.what() + "\"");
  }
}

std::vector<std::string> check_one(const Case& test, Backend& tested, Backend& reference,
                                   DType element, Layout layout, bool adds) {
  Pair pair(test, tested, reference, element, layout, adds);
  std::vector<std::vector<std::uint64_t>> before;
  for (std::size_t i = 0; i < test.operands.size(); ++i) {
    before.push_back(pair.tested.tensor(i).bits());
  }
  pair.truth.call();
  pair.tested.call();
  // Repeated inputs may happen to cancel.
  const bool may_be_zero = test.zero_allowed || layout == Layout::broadcast;
  return compare(test, pair, element, may_be_zero, before);
}
}  // namespace

std::vector<std::string> check_results(Op op, Backend& tested, Backend& reference,
                                       std::size_t most) {
  std::vector<std::string> failures;
  std::vector<Case> tests = cases_of(op);
  // The first cases are often scalars or empty: the last show more.
  if (most != 0 && tests.size() > most)
    tests.erase(tests.begin(), tests.end() - static_cast<long>(most));
  for (const Case& test : tests) {
    for (const DType dtype : dtypes_for(test, tested)) {
      for (const Layout layout : test.layouts) {
        for (const bool adds : {false, true}) {
          if (adds && !has_targets(test)) continue;
          const std::string where = cat(name_of(op), " ", test.name, ", ", lathe::name_of(dtype),
                                        ", ", name_of(layout), adds ? ", adding" : "");
          guarded(where, failures,
                  [&] { return check_one(test, tested, reference, dtype, layout, adds); });
        }
      }
    }
  }
  return failures;
}

namespace {
std::vector<std::vector<std::uint64_t>> result_bits(const Case& test, Backend& tested,
                                                    DType element) {
  Instance instance(test, tested, element, Layout::dense, true);
  instance.fill();
  instance.call();
  std::vector<std::vector<std::uint64_t>> bits;
  for (std::size_t i = 0; i < test.operands.size(); ++i) bits.push_back(instance.tensor(i).bits());
  return bits;
}

std::vector<std::string> compare_bits(const Case& test, int thread_count,
                                      const std::vector<std::vector<std::uint64_t>>& first,
                                      const std::vector<std::vector<std::uint64_t>>& now) {
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const auto [a, b] = std::mismatch(first[i].begin(), first[i].end(), now[i].begin());
    if (a == first[i].end()) continue;
    failures.push_back(cat(test.operands[i].name, ": element ", a - first[i].begin(),
                           " has the bits ", *a, " with 1 thread and ", *b, " with ",
                           thread_count));
  }
  return failures;
}
}  // namespace

std::vector<std::string> check_same_bits(Op op, Backend& tested) {
  std::vector<std::string> failures;
  for (const Case& test : cases_of(op)) {
    for (const DType dtype : dtypes_for(test, tested)) {
      const std::string where = cat(name_of(op), " ", test.name, ", ", lathe::name_of(dtype));
      guarded(where, failures, [&] {
        std::vector<std::string> texts;
        set_threads(1);
        const auto first = result_bits(test, tested, dtype);
        for (const int count : {1, 2, 4, 8}) {
          set_threads(count);
          const auto now = result_bits(test, tested, dtype);
          for (std::string& text : compare_bits(test, count, first, now)) {
            texts.push_back(std::move(text));
          }
        }
        set_threads(0);
        return texts;
      });
    }
  }
  return failures;
}

namespace {
// The derivative of the objective by each element of an input, by central differences.
std::vector<double> differences(const Case& test, Backend& reference, Instance& instance,
                                const std::string& input) {
  constexpr double step = 1e-5;
  HostTensor& tensor = instance.tensor(input);
  const std::vector<double> base = tensor.get();
  std::vector<double> slopes;
  for (std::size_t i = 0; i < base.size(); ++i) {
    std::vector<double> moved = base;
    moved[i] = base[i] + step;
    tensor.set(moved);
    const double above = test.objective(reference, instance.operands());
    moved[i] = base[i] - step;
    tensor.set(moved);
    const double below = test.objective(reference, instance.operands());
    slopes.push_back((above - below) / (2 * step));
  }
  tensor.set(base);
  return slopes;
}
}  // namespace

std::vector<std::string> check_gradients(Op op, Backend& reference) {
  std::vector<std::string> failures;
  for (const Case& test : cases_of(op)) {
    if (!test.objective) continue;
    guarded(cat(name_of(op), " ", test.name, ", central differences"), failures, [&] {
      std::vector<std::string> texts;
      Instance instance(test, reference, DType::f64, Layout::dense, false);
      instance.fill();
      if (test.prepare) test.prepare(reference, instance.operands());
      instance.call();
      for (const auto& [gradient, input] : test.gradients) {
        const std::vector<double> slopes = differences(test, reference, instance, input);
        const std::string text =
            difference(instance.tensor(gradient).get(), slopes, gradient_tolerance);
        if (!text.empty()) texts.push_back(cat(gradient, ": ", text));
      }
      return texts;
    });
  }
  return failures;
}

void run_backend_suite(Backend& tested, Backend& reference, const std::vector<Op>& ops) {
  std::string text;
  for (const Op op : ops) {
    for (const std::string& line : check_results(op, tested, reference)) text += "\n" + line;
    for (const std::string& line : check_same_bits(op, tested)) text += "\n" + line;
  }
  if (!text.empty()) fail("the backend breaks its contract:", text);
}

double dot(const View& a, const View& b) {
  if (!a.is_dense() || !b.is_dense() || a.count() != b.count()) {
    fail("dot needs two dense tensors of one size");
  }
  double sum = 0;
  for (std::int64_t i = 0; i < a.count(); ++i) sum += a.as<double>()[i] * b.as<double>()[i];
  return sum;
}

}  // namespace lathe::conform
