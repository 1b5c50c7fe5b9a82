#include <lathe/tensor/tape.h>

namespace lathe {
namespace {
thread_local Tape* current_tape = nullptr;

// The window of a whole's gradient that belongs to one of its parts.
Tensor window(const Variable& part) {
  const Tensor& whole = part.whole->gradient;
  return Tensor(whole.storage(), sliced(whole.view(), -1, part.begin, part.end));
}

// Gives the variable memory for its gradient, if it has none.
void provide(Variable& variable) {
  if (!variable.gradient) {
    variable.gradient = Tensor::empty(variable.backend, variable.shape, variable.dtype);
  }
}

// Some parts are written, others not: the rest of the gradient is zero.
void complete(Variable& whole) {
  for (const auto& weak : whole.parts) {
    const auto part = weak.lock();
    if (!part || part->state == Variable::State::filled) continue;
    whole.backend->fill(sliced(whole.gradient.view(), -1, part->begin, part->end), 0);
    part->state = Variable::State::filled;
  }
  whole.state = Variable::State::filled;
}

// Memory that nobody else reads, so that adding in place is safe.
void make_own(Variable& variable) {
  if (variable.parameter || variable.whole || variable.gradient.storage().use_count() == 1) return;
  Tensor own = Tensor::empty(variable.backend, variable.shape, variable.dtype);
  variable.backend->copy(variable.gradient.view(), own.view());
  variable.gradient = own;
}

Target target_of(Variable& variable) {
  using State = Variable::State;
  if (variable.whole) {
    Variable& whole = *variable.whole;
    if (whole.state == State::filled) {
      make_own(whole);
      variable.state = State::filled;
    }
    provide(whole);
    const bool add = variable.state == State::filled;
    if (whole.state == State::empty) whole.state = State::partial;
    variable.state = State::filled;
    return Target{window(variable).view(), add};
  }
  if (variable.state == State::partial) complete(variable);
  provide(variable);
  const bool add = variable.state == State::filled;
  if (add) make_own(variable);
  variable.state = State::filled;
  return Target{variable.gradient.view(), add};
}
}  // namespace

Tape::Tape() : before_(current_tape) { current_tape = this; }
Tape::~Tape() { current_tape = before_; }
Tape* Tape::current() { return current_tape; }

void Tape::record(std::vector<std::shared_ptr<Variable>> results, std::function<void()> send) {
  std::shared_ptr<Variable> first = std::move(results.front());
  results.erase(results.begin());
  notes_.push_back({std::move(first), std::move(results), std::move(send)});
}

void Tape::record(std::shared_ptr<Variable> result, std::function<void()> send) {
  notes_.push_back({std::move(result), {}, std::move(send)});
}

void Tape::backward(const Tensor& loss) {
  if (!loss.variable()) {
    fail("backward() of a tensor that depends on no parameter, or was made outside of the tape");
  }
  if (loss.count() != 1) {
    fail("backward() needs a scalar loss, not a tensor ", loss.shape().text(), ": sum it first");
  }
  const NoGradient silent;
  loss.variable()->seed = true;
  loss.backend().fill(target_of(*loss.variable()).view, 1);
  play();
}

void Tape::backward(Tensor result, Tensor gradient) {
  if (!result.variable()) return;  // nothing on the tape was read
  const NoGradient silent;
  give_gradient(result, std::move(gradient));
  result = Tensor();  // its memory is not needed any more
  play();
}

void Tape::play() {
  while (!notes_.empty()) {
    Note note = std::move(notes_.back());
    notes_.pop_back();
    const auto each = [&note](const auto& use) {
      use(*note.first);
      for (const auto& other : note.others) use(*other);
    };
    bool any = false;
    each([&](const Variable& result) { any = any || result.has_gradient(); });
    if (any) note.send();
    each([](Variable& result) {
      result.gradient = Tensor();
      result.state = Variable::State::empty;
    });
  }
}

NoGradient::NoGradient() : before_(current_tape) { current_tape = nullptr; }
NoGradient::~NoGradient() { current_tape = before_; }

Tensor recomputed(std::function<Tensor()> function) {
  if (current_tape == nullptr) return function();
  Tensor y = [&] {
    const NoGradient silent;
    return function();
  }();
  const Shape shape = y.shape();
  const auto variable = track(y);
  current_tape->record({variable}, [variable, shape, function = std::move(function)] {
    Tensor dy = gathered(variable, shape);
    variable->gradient = Tensor();  // so that the inner tape can take dy's memory over
    Tape tape;
    Tensor again = function();
    tape.backward(std::move(again), std::move(dy));
  });
  return y;
}

bool recording(std::initializer_list<const Tensor*> operands) {
  if (current_tape == nullptr) return false;
  for (const Tensor* operand : operands) {
    if (operand->variable()) return true;
  }
  return false;
}

const std::shared_ptr<Variable>& track(Tensor& result) {
  auto variable = std::make_shared<Variable>();
  variable->shape = result.shape();
  variable->dtype = result.dtype();
  variable->backend = result.shared_backend();
  result.set_variable(std::move(variable));
  return result.variable();
}

Tensor gathered(const std::shared_ptr<Variable>& variable, const Shape& shape) {
  if (variable->state == Variable::State::partial) complete(*variable);
  if (variable->whole) {
    if (variable->state != Variable::State::filled) return Tensor();
    return window(*variable).reshape(shape);
  }
  if (variable->state != Variable::State::filled) return Tensor();
  return variable->gradient.reshape(shape);
}

Target Receiver::target() const {
  if (!variable_) return Target{};
  Target target = target_of(*variable_);
  target.view = reshaped(target.view, shape_);
  return target;
}

void Receiver::give(Tensor gradient) const {
  if (!variable_) return;
  Variable& variable = *variable_;
  const bool free_to_take = variable.state == Variable::State::empty && !variable.parameter &&
                            !variable.whole && variable.dtype == gradient.dtype() &&
                            gradient.view().is_dense();
  if (free_to_take) {
    variable.gradient = gradient.detached().reshape(variable.shape);
    variable.state = Variable::State::filled;
    return;
  }
  const Target goal = target();
  Backend& backend = gradient.backend();
  if (!goal.add) return backend.copy(gradient.view(), goal.view);
  if (gradient.dtype() != goal.view.dtype) {  // a parameter's gradient is wide
    const Tensor wide = Tensor::empty(gradient.shared_backend(), gradient.shape(), goal.view.dtype);
    backend.copy(gradient.view(), wide.view());
    gradient = wide;
  }
  backend.binary(Binary::add, goal.view, gradient.view(), goal.view);
}

Target gradient_target(const Tensor& operand) { return Receiver(operand).target(); }

void give_gradient(const Tensor& operand, Tensor gradient) {
  Receiver(operand).give(std::move(gradient));
}

Kept::Kept(const Tensor& operand) : variable_(operand.variable()) {
  if (!operand) return;
  shape_ = operand.shape();
  if (!variable_ || !variable_->again) elements_ = operand;
}

Tensor Kept::tensor() const {
  if (elements_ || !variable_) return elements_;
  Tensor made = variable_->again().reshape(shape_);
  made.set_variable(variable_);
  return made;
}

Tensor leaf(Tensor tensor) {
  track(tensor);
  return tensor;
}

Tensor gradient_of(const Tensor& leaf) {
  if (!leaf.variable()) fail("gradient_of() needs a tensor made by leaf()");
  return gathered(leaf.variable(), leaf.shape());
}

}  // namespace lathe
