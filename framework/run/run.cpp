#include <lathe/run/run.h>

#include <lathe/base/clock.h>
#include <lathe/base/log.h>
#include <lathe/base/signal.h>
#include <lathe/learn/generation.h>
#include <lathe/learn/infill.h>
#include <lathe/run/manifest.h>
#include <lathe/run/pins.h>
#include <lathe/run/run_folder.h>
#include <lathe/run/state_files.h>
#include <lathe/run/trained.h>

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

// One run from its first line to its last. The members are made in the order in which they are
// needed, and everything that happens at a step stands in train().
class Running {
 public:
  Running(const Experiment& experiment, Registry& registry, const RunRequest& request,
          RunFolder& folder, const std::vector<Pin>& pinned)
      : experiment_(experiment),
        registry_(registry),
        request_(request),
        folder_(folder),
        pinned_(pinned),
        checkpoint_(experiment.table("checkpoint")),
        sample_(experiment.table("sample")),
        found_(newest_trusted((folder.path() / "checkpoints").string())),
        session_(experiment, registry,
                 {.work_folder = request.work_folder,
                  .tokenizer_folder = found_ ? folder.path() : std::filesystem::path(),
                  .start = found_ ? read_manifest(folder.path()).start : std::nullopt}),
        trainer_(session_),
        control_(session_.sight && session_.fit.observations.kind != Space::Kind::tokens) {}

  RunResult train();

 private:
  void begin();
  void describe() const;
  void report(const StepReport& report, Progress& progress);
  double work_done() {
    return control_ ? static_cast<double>(trainer_.actions_taken()) : trainer_.state.tokens;
  }
  void evaluate();
  void evaluate_and_sample(bool sampling, bool evaluating);
  void catch_up();
  void be_patient_again();
  void save();
  void sample();
  void show_written();
  std::vector<std::string> texts_of_prompts() const;
  void write_to_prompts();
  // The last step is always one.
  bool due(std::int64_t every) const {
    const std::int64_t step = trainer_.state.step;
    return step == session_.train.steps || (every > 0 && step % every == 0);
  }

  const Experiment& experiment_;
  Registry& registry_;
  const RunRequest& request_;
  RunFolder& folder_;
  const std::vector<Pin>& pinned_;
  CheckpointSettings checkpoint_;
  SampleSettings sample_;
  FoundCheckpoint found_;
  Session session_;
  Trainer trainer_;
  RunResult result_;
  std::vector<std::vector<std::int32_t>> prompts_;  // of the samples of a decoder
  std::vector<GapText> gaps_;                       // of those of a model that sees both sides
  std::vector<Written> written_;                    // in the newest collection
  std::int64_t saved_ = -1;
  bool control_;  // a policy acts, and not by writing: what it does is counted in actions
  double report_time_ = 0;
  double report_work_ = 0;        // tokens or actions
  double return_ = std::nan("");  // mean of the episodes that ended lately
};

void Running::begin() {
  const ManifestRequest manifest{.arguments = request_.arguments,
                                 .folder = folder_.path(),
                                 .work_folder = request_.work_folder};
  if (!request_.locked.empty()) {
    demand_pinned(pinned_, data_pins(session_.dataset.get()), request_.locked);
  }
  // Before the first step, since a prompt may hold what the tokenizer does not know.
  for (const std::string& prompt : sample_.prompts) {
    if (session_.model->causal()) {
      prompts_.push_back(session_.tokenizer->encode(prompt));
      if (!prompts_.back().empty()) continue;
      fail(experiment_.config().at("sample.prompts").where(), ": sample.prompts: prompt ",
           prompts_.size(), " (\"", prompt, "\") has no tokens; begin with at least one character");
    } else {
      gaps_.push_back(read_gaps(prompt, sample_.tokens, frame_of(experiment_, *session_.tokenizer),
                                *session_.tokenizer));
    }
  }
  if (found_) {
    load_state(found_.path, trainer_, session_);
    saved_ = trainer_.state.step;
    if (trainer_.state.best_step == saved_) folder_.checkpoints().mark_best(saved_);
    note_restart(manifest, trainer_.state.step, experiment_, session_, registry_);
    log_info("going on from ", found_.path, " at step ", trainer_.state.step);
  } else {
    folder_.clear();  // of what a run that was killed before its first checkpoint has left
    if (session_.tokenizer) session_.tokenizer->save(folder_.path());
    write_manifest(manifest, experiment_, session_, registry_);
  }
  folder_.open(found_ ? std::optional(trainer_.state.step) : std::nullopt);
  write_status(folder_.path(), "running", trainer_.state.step);
  describe();
}

void Running::describe() const {
  const TrainSettings& train = session_.train;
  log_info("run ", folder_.path().string());
  log_info(session_.backend->device(), "; model '", experiment_.plugin_of("model"), "' with ",
           session_.parameters.count(), " parameters in ", train.precision, "; ",
           session_.tokenizer ? cat("vocabulary of ", session_.tokenizer->size())
                              : cat("environment '", experiment_.plugin_of("environment"), "'"));
  if (control_) {
    log_info(train.steps, " steps, feed '", experiment_.plugin_of("feed"), "'");
    return;
  }
  log_info(train.steps, " steps of ", train.accumulation, " x ", train.batch, " x ", train.length,
           " tokens");
}

RunResult Running::train() {
  begin();
  const StopRequest stop;
  const TrainSettings& settings = session_.train;
  Progress progress("train", settings.steps, request_.progress, trainer_.state.step);
  report_time_ = steady_seconds();
  report_work_ = work_done();
  result_.end = RunResult::End::finished;
  if (found_) catch_up();
  if (trainer_.out_of_patience()) be_patient_again();
  while (trainer_.state.step < settings.steps && !trainer_.out_of_patience()) {
    StepReport step = trainer_.step();
    report(step, progress);
    written_ = std::move(step.written);
    evaluate_and_sample(due(sample_.every), due(session_.evaluate.every));
    if (due(checkpoint_.every)) save();
    if (trainer_.out_of_patience()) {
      result_.end = RunResult::End::early_stop;
      log_info("no better ", session_.evaluate.best, " in ", session_.evaluate.patience,
               " evaluations: stopping at step ", trainer_.state.step);
      break;
    }
    if (stop.requested() && trainer_.state.step < settings.steps) {
      result_.end = RunResult::End::interrupted;
      break;
    }
  }
  if (result_.end != RunResult::End::interrupted) {
    evaluate_and_sample(true, true);
  }
  save();
  progress.finish();
  result_.step = trainer_.state.step;
  result_.folder = folder_.path();
  result_.values = last_evaluation(folder_.path());
  const bool interrupted = result_.end == RunResult::End::interrupted;
  write_status(folder_.path(), interrupted ? "interrupted" : "done", trainer_.state.step);
  return result_;
}

void Running::report(const StepReport& step, Progress& progress) {
  const TrainState& state = trainer_.state;
  const double now = steady_seconds();
  const double work = work_done();
  const double rate = (work - report_work_) / std::max(now - report_time_, 1e-9);
  const bool acts = session_.sight != nullptr;
  const std::vector<Metric>& metrics = acts ? trainer_.measured : step.metrics;
  Progress::Notes notes = {{"loss", step.loss}};
  for (const Metric& metric : metrics) {
    if (metric.name == "return" && metric.weight > 0) return_ = metric.sum / metric.weight;
  }
  if (control_ && std::isfinite(return_)) notes.emplace_back("return", return_);
  notes.emplace_back(control_ ? "actions/s" : "tokens/s", rate);
  progress.update(state.step, notes);
  if (!due(session_.train.log_every)) return;
  std::vector<MetricValue> values = {{"train/loss", step.loss},
                                     {"train/gradient_norm", step.gradient_norm},
                                     {"train/rate", step.rate}};
  if (!control_) values.emplace_back("train/tokens", state.tokens);
  values.emplace_back(control_ ? "speed/actions_per_second" : "speed/tokens_per_second", rate);
  if (acts) values.emplace_back("train/actions", static_cast<double>(trainer_.actions_taken()));
  for (const Metric& metric : metrics) {
    if (metric.weight > 0) values.emplace_back("train/" + metric.name, metric.sum / metric.weight);
  }
  folder_.metrics(state.step, values);
  trainer_.measured.clear();
  report_time_ = now;
  report_work_ = work;
}

// What has been learnt is saved before an error goes up, as it was before the evaluation or sample
// that failed: a run that goes on from there makes up for it.
void Running::evaluate_and_sample(bool sampling, bool evaluating) {
  try {
    if (sampling) sample();
    const TrainState before = trainer_.state;
    try {
      if (evaluating && session_.validation) evaluate();
    } catch (...) {
      trainer_.state = before;
      throw;
    }
  } catch (const Diverged&) {
    throw;
  } catch (...) {
    if (saved_ == trainer_.state.step) throw;
    try {
      save();
      log_info("saved at step ", saved_,
               ", since what follows has failed; once its cause is gone, ", "lathe resume ",
               folder_.path().string(), " goes on");
    } catch (const std::exception& error) {  // the first one tells more
      log_warning("step ", trainer_.state.step, " is not saved: ", error.what());
    }
    throw;
  }
}

// What was due at a checkpoint had been written before it was, unless it failed.
void Running::catch_up() {
  const TrainState before = trainer_.state;
  evaluate_and_sample(due(sample_.every), due(session_.evaluate.every));
  if (before.sampled == trainer_.state.sampled && before.evaluated == trainer_.state.evaluated) {
    return;
  }
  saved_ = -1;  // so that it is not done once more
  save();
}

// A run that had stopped early goes on only when its end has been moved since.
void Running::be_patient_again() {
  TrainState& state = trainer_.state;
  if (session_.train.steps > state.end) {
    log_info("stopped by evaluate.patience at step ", state.step,
             ", and begins anew to be patient ", "on the way to step ", session_.train.steps);
    state.evaluations_since_best = 0;
  } else {
    log_info("stopped by evaluate.patience at step ", state.step,
             "; a higher train.steps, or more patience, lets it go on");
    result_.end = RunResult::End::early_stop;
  }
}

void Running::evaluate() {
  if (trainer_.state.evaluated == trainer_.state.step) return;
  trainer_.state.evaluated = trainer_.state.step;
  const double begun = steady_seconds();
  const Evaluation evaluation = trainer_.evaluate();
  report_time_ += steady_seconds() - begun;  // the rate is that of training
  const bool best = trainer_.note(evaluation);
  std::vector<MetricValue> values;
  std::string text = cat("step ", trainer_.state.step, ": validation");
  for (const auto& [name, value] : evaluation.values) {
    values.emplace_back("eval/" + name, value);
    text += cat(" ", name, " ", std::round(value * 1e4) / 1e4);
  }
  folder_.metrics(trainer_.state.step, values);
  log_info(text, best ? " (best)" : "");
  if (best) {
    save();
    folder_.checkpoints().mark_best(trainer_.state.step);
  }
}

void Running::save() {
  if (saved_ == trainer_.state.step) return;
  const StateFiles state(trainer_, session_);
  folder_.checkpoints().save(trainer_.state.step, state.files());
  saved_ = trainer_.state.step;
  write_status(folder_.path(), "running", trainer_.state.step);
}

void Running::sample() {
  if (trainer_.state.sampled == trainer_.state.step) return;
  const double begun = steady_seconds();
  show_written();
  written_.clear();
  if (!sample_.prompts.empty()) write_to_prompts();
  trainer_.state.sampled = trainer_.state.step;
  report_time_ += steady_seconds() - begun;
}

// Prompts, completions and scores of the first rows of a collection.
void Running::show_written() {
  const std::size_t count = std::min(written_.size(), static_cast<std::size_t>(sample_.texts));
  for (std::size_t i = 0; i < count; ++i) {
    const Written& row = written_[i];
    folder_.sample(trainer_.state.step, row.prompt, row.text, row.score);
    log_info("sample: ", row.prompt, row.text, "   score ", std::round(row.score * 1e4) / 1e4);
  }
}

std::vector<std::string> Running::texts_of_prompts() const {
  const GenerationOptions options(Config::table({})
                                      .with("tokens", Config::integer(sample_.tokens))
                                      .with("temperature", Config::number(sample_.temperature))
                                      .with("top_k", Config::integer(sample_.top_k)));
  std::vector<std::string> texts;
  if (session_.model->causal()) {
    const Generator generator(*session_.model, session_.parameters, *session_.tokenizer);
    for (Completion& completion : generator.complete(prompts_, options, session_.seed)) {
      texts.push_back(std::move(completion.text));
    }
    return texts;
  }
  const UnmaskingOptions how(Config::table({}));
  for (FilledText& filled : fill_gaps(*session_.model, session_.parameters, *session_.tokenizer,
                                      gaps_, options, how, session_.seed)) {
    texts.push_back(std::move(filled.text));
  }
  return texts;
}

// A decoder's text is what comes behind the prompt; one with gaps is shown as a whole.
void Running::write_to_prompts() {
  const Trainer::Averaged averaged(trainer_);
  const std::vector<std::string> texts = texts_of_prompts();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    folder_.sample(trainer_.state.step, sample_.prompts[i], texts[i]);
    log_info("sample: ", gaps_.empty() ? sample_.prompts[i] : "", texts[i]);
  }
}

// A full disk may refuse this too; the error on its way out is the one to show.
void note_failure(const std::filesystem::path& folder, const char* reason) {
  try {
    write_status(folder, "failed", -1, reason);
  } catch (const Error&) {
  }
}

}  // namespace

RunResult run(const Experiment& experiment, Registry& registry, const RunRequest& request) {
  const std::filesystem::path path = request.folder.empty() ? experiment.folder() : request.folder;
  std::vector<Pin> pinned;
  if (!request.locked.empty()) {
    pinned = pins_of(request.locked);
    demand_pinned(pinned, code_pins(experiment, registry), request.locked);
  }
  RunFolder folder(path, CheckpointSettings(experiment.table("checkpoint")).keep);
  if (request.again) folder.clear();
  const RunStatus status = read_status(path);
  const std::int64_t wanted = TrainSettings(experiment.table("train")).steps;
  if (status.state == "done" && !(request.extend && wanted > status.step)) {
    return {.end = RunResult::End::already_finished,
            .folder = path,
            .step = status.step,
            .values = last_evaluation(path)};
  }
  try {
    Running running(experiment, registry, request, folder, pinned);
    return running.train();
  } catch (const std::exception& error) {
    note_failure(path, error.what());
    throw;
  }
}

}  // namespace lathe
