// The tape: ops note how to send a gradient from their results to their operands, and backward()
// runs the notes in reverse. Define-by-run, in the manner of micrograd, with whole tensors.
#pragma once

#include <lathe/tensor/tensor.h>

#include <functional>
#include <memory>
#include <vector>

namespace lathe {

// A tensor's place on the tape: where its gradient gathers. Reshaped copies share it.
struct Variable {
  enum class State : std::uint8_t { empty, partial, filled };

  Tensor gradient;  // memory of the gradient; its meaning follows `state`
  State state = State::empty;
  bool parameter = false;  // the gradient lives in a flat buffer and adds up over micro-batches
  bool seed = false;       // the loss itself: its gradient is exactly 1
  Shape shape;
  DType dtype = DType::f32;
  std::shared_ptr<Backend> backend;
  // Makes the same elements again; set where the producer was asked to Keep::recipe.
  std::function<Tensor()> again;

  // A part of a split tensor: its gradient is a window of the whole's.
  std::shared_ptr<Variable> whole;
  std::int64_t begin = 0;  // along the last axis
  std::int64_t end = 0;
  std::vector<std::weak_ptr<Variable>> parts;

  bool has_gradient() const { return state == State::filled; }
};

class Tape {
 public:
  // Ops record on the newest tape of this thread for as long as it lives.
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static Tape* current();

  // `send` runs once, after all gradients of the results have gathered, unless none came.
  void record(std::shared_ptr<Variable> result, std::function<void()> send);
  void record(std::vector<std::shared_ptr<Variable>> results, std::function<void()> send);

  // Fills the gradients of everything the scalar depends on; memory is given back on the way.
  void backward(const Tensor& loss);
  // The same from any result of this tape on, with the gradient that has come to it.
  void backward(Tensor result, Tensor gradient);

 private:
  struct Note {
    std::shared_ptr<Variable> first;
    std::vector<std::shared_ptr<Variable>> others;  // of a split
    std::function<void()> send;
  };
  void play();

  std::vector<Note> notes_;
  Tape* before_;
};

// Suspends recording: inference, evaluation, targets.
class NoGradient {
 public:
  NoGradient();
  ~NoGradient();
  NoGradient(const NoGradient&) = delete;
  NoGradient& operator=(const NoGradient&) = delete;

 private:
  Tape* before_;
};

// What is kept of a result for the backward pass: its elements, or how to make them again from what
// its own derivative keeps anyway. The recipe runs the same op on the same operands, so it gives
// the same bits.
enum class Keep : std::uint8_t { result, recipe };

// function(), of whose inside nothing is kept: the backward pass runs it again, on a tape of its
// own. It must compute the same each time (dropout does: its numbers are counted) and change
// nothing outside; it holds what it needs. Gradients reach what it reads just as if it had run on
// the tape, in the same order, so they have the same bits. Training deep nets with sublinear memory
// cost (Chen et al., 2016).
Tensor recomputed(std::function<Tensor()> function);

// ---- For the authors of ops

// True when a tape records and any of the tensors is on it.
bool recording(std::initializer_list<const Tensor*> operands);
// Puts a result on the tape.
const std::shared_ptr<Variable>& track(Tensor& result);
// The gradient that has gathered for a result, in the shape asked for.
Tensor gathered(const std::shared_ptr<Variable>& variable, const Shape& shape);
// Where an operand's gradient is to be written, and whether to add; none when it wants none.
// The caller must write it. Afterwards the operand counts as having a gradient.
Target gradient_target(const Tensor& operand);
// Hands over a finished gradient; takes its memory where nothing else is there yet.
void give_gradient(const Tensor& operand, Tensor gradient);

// The way to an operand's gradient, without its elements.
class Receiver {
 public:
  explicit Receiver(const Tensor& operand)
      : variable_(operand.variable()), shape_(operand.shape()) {}
  explicit operator bool() const { return variable_ != nullptr; }
  const Shape& shape() const { return shape_; }
  Target target() const;             // see gradient_target()
  void give(Tensor gradient) const;  // see give_gradient()

 private:
  std::shared_ptr<Variable> variable_;
  Shape shape_;
};

// An operand as a derivative keeps it: with its elements, or the recipe for them.
class Kept {
 public:
  explicit Kept(const Tensor& operand);
  Tensor tensor() const;  // the operand, at its place on the tape

 private:
  Tensor elements_;  // none with a recipe
  std::shared_ptr<Variable> variable_;
  Shape shape_;
};

// A leaf whose gradient one can ask for (tests, inputs).
Tensor leaf(Tensor tensor);
Tensor gradient_of(const Tensor& leaf);

}  // namespace lathe
