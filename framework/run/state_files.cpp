#include <lathe/run/state_files.h>

#include <lathe/base/json.h>
#include <lathe/io/safetensors.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lathe {
namespace {
Tensor window(const Tensor& flat, const Parameter& parameter) {
  const std::int64_t end = parameter.offset + parameter.shape.count();
  return Tensor(flat.storage(), sliced(flat.view(), 0, parameter.offset, end));
}

std::vector<std::int64_t> extents(const Shape& shape) {
  std::vector<std::int64_t> all;
  for (int axis = 0; axis < shape.rank(); ++axis) all.push_back(shape[axis]);
  return all;
}

std::size_t byte_count(const View& view) {
  return static_cast<std::size_t>(view.count()) * size_of(view.dtype);
}

// Copies a tensor of the file into the window of a flat buffer; shape and type must agree.
void read_into(const TensorFile& file, const std::string& name, const Parameter& parameter,
               const Tensor& flat) {
  const TensorEntry& entry = file.at(name, extents(parameter.shape));
  const View to = window(flat, parameter).view();
  const std::size_t count = static_cast<std::size_t>(to.count());
  Backend& backend = flat.backend();
  if (to.dtype == DType::f64 && entry.type == TensorType::F64) {
    std::vector<double> exact(count);
    std::memcpy(exact.data(), entry.bytes.data(), entry.bytes.size());
    backend.upload(to.data, exact.data(), byte_count(to));
    return;
  }
  std::vector<float> values(count);
  read_floats(entry, values);
  if (to.dtype == DType::f64) {
    const std::vector<double> wide(values.begin(), values.end());
    backend.upload(to.data, wide.data(), byte_count(to));
  } else {
    backend.upload(to.data, values.data(), byte_count(to));
  }
}

void read_all(const std::string& path, const std::string& prefix, const Parameters& parameters,
              const Tensor& flat) {
  const TensorFile file = open_tensors(path);
  for (const Parameter& parameter : parameters.all()) {
    read_into(file, prefix + parameter.name, parameter, flat);
  }
}
}  // namespace

void StateFiles::add(const std::string& name,
                     const std::vector<std::pair<std::string, Tensor>>& flats,
                     const Parameters& parameters) {
  std::vector<TensorEntry> entries;
  for (const auto& [prefix, flat] : flats) {
    for (const Parameter& parameter : parameters.all()) {
      const View view = window(flat, parameter).view();
      const auto* data = static_cast<const std::byte*>(view.data);
      if (!flat.backend().host_memory()) {
        copies_.push_back(std::make_shared<std::vector<std::byte>>(byte_count(view)));
        flat.backend().download(copies_.back()->data(), view.data, byte_count(view));
        data = copies_.back()->data();
      }
      entries.push_back({.name = prefix + parameter.name,
                         .type = tensor_type(view.dtype),
                         .shape = extents(parameter.shape),
                         .bytes = {data, byte_count(view)}});
    }
  }
  const auto layout = std::make_shared<TensorLayout>(entries);
  files_.push_back({.name = name,
                    .size = layout->size(),
                    .produce = [layout](const ByteSink& sink) { layout->write(sink); }});
}

namespace {
// The types of the two formats go by the same names.
constexpr std::pair<StateType, TensorType> state_types[] = {{StateType::u8, TensorType::U8},
                                                            {StateType::i32, TensorType::I32},
                                                            {StateType::i64, TensorType::I64},
                                                            {StateType::f32, TensorType::F32},
                                                            {StateType::f64, TensorType::F64}};
}  // namespace

void StateFiles::add_components(Trainer& trainer, const Session& session) {
  State kept;
  State objective;
  session.objective->save(objective);
  State feed;
  session.feed->save(feed);
  kept.put("objective", objective);
  kept.put("feed", feed);
  for (const Metric& metric : trainer.measured) {
    kept.put("measured/" + metric.name, std::vector{metric.sum, metric.weight});
  }
  if (trainer.workers) {
    State workers;
    trainer.workers->save(workers);
    kept.put("workers", workers);
  }
  if (kept.items().empty()) return;
  std::vector<TensorEntry> entries;
  for (const auto& [name, item] : kept.items()) {
    const auto type = std::find_if(std::begin(state_types), std::end(state_types),
                                   [&](const auto& pair) { return pair.first == item.type; });
    copies_.push_back(std::make_shared<std::vector<std::byte>>(item.bytes));
    const auto count = static_cast<std::int64_t>(item.bytes.size()) * 8 / bits_of(type->second);
    entries.push_back({.name = name,
                       .type = type->second,
                       .shape = {count},
                       .bytes = {copies_.back()->data(), item.bytes.size()}});
  }
  const auto layout = std::make_shared<TensorLayout>(entries);
  files_.push_back({.name = "components.safetensors",
                    .size = layout->size(),
                    .produce = [layout](const ByteSink& sink) { layout->write(sink); }});
}

StateFiles::StateFiles(Trainer& trainer, const Session& session) {
  const Parameters& parameters = session.parameters;
  if (!std::isfinite(parameters.backend()->sum_of_squares(parameters.master().view()))) {
    throw Diverged(cat("step ", trainer.state.step, ": a weight is not finite; nothing was saved. ",
                       "Lower optimizer.rate, set train.clip, or go on from the last checkpoint ",
                       "with other data"));
  }
  add("weights.safetensors", {{"", parameters.master()}}, parameters);
  if (trainer.average) add("average.safetensors", {{"", trainer.average}}, parameters);
  std::vector<std::pair<std::string, Tensor>> moments;
  if (trainer.first) moments.emplace_back("first.", trainer.first);
  if (trainer.second) moments.emplace_back("second.", trainer.second);
  if (!moments.empty()) add("optimizer.safetensors", moments, parameters);
  const TrainState& state = trainer.state;
  const Json json = {
      {"step", state.step},           {"updates", state.updates},
      {"tokens", state.tokens},       {"best", state.best},
      {"best_step", state.best_step}, {"evaluations_since_best", state.evaluations_since_best},
      {"evaluated", state.evaluated}, {"sampled", state.sampled},
      {"end", session.train.steps}};
  add_components(trainer, session);
  files_.push_back(CheckpointFile::text("state.json", json.dump(2) + "\n"));
}

State load_components(const std::string& folder) {
  const std::string path = join(folder, "components.safetensors");
  State kept;
  if (!exists(path)) return kept;
  const TensorFile file = open_tensors(path);
  for (const TensorEntry& entry : file.entries()) {
    const auto type = std::find_if(std::begin(state_types), std::end(state_types),
                                   [&](const auto& pair) { return pair.second == entry.type; });
    if (type == std::end(state_types)) fail(path, ": '", entry.name, "' has an unknown type");
    kept.put_bytes(entry.name, type->first, entry.bytes);
  }
  return kept;
}

void load_state(const std::string& folder, Trainer& trainer, Session& session) {
  Parameters& parameters = session.parameters;
  read_all(join(folder, "weights.safetensors"), "", parameters, parameters.master());
  if (trainer.average)
    read_all(join(folder, "average.safetensors"), "", parameters, trainer.average);
  const std::string moments = join(folder, "optimizer.safetensors");
  if (trainer.first) read_all(moments, "first.", parameters, trainer.first);
  if (trainer.second) read_all(moments, "second.", parameters, trainer.second);
  parameters.refresh();
  const State kept = load_components(folder);
  session.objective->load(kept.part("objective"));
  session.feed->load(kept.part("feed"));
  trainer.measured.clear();
  const State measured = kept.part("measured");
  for (const auto& [name, item] : measured.items()) {
    const std::vector<double> sums = measured.get<double>(name);
    trainer.measured.push_back({name, sums.at(0), sums.at(1)});
  }
  if (trainer.workers) trainer.workers->load(kept.part("workers"));
  const std::string path = join(folder, "state.json");
  const Json json = read_json(path);
  try {
    trainer.state = {
        .step = json.at("step").get<std::int64_t>(),
        .updates = json.at("updates").get<std::int64_t>(),
        .tokens = json.at("tokens").get<double>(),
        .best = json.at("best").get<double>(),
        .best_step = json.at("best_step").get<std::int64_t>(),
        .evaluations_since_best = json.at("evaluations_since_best").get<std::int64_t>(),
        .evaluated = json.at("evaluated").get<std::int64_t>(),
        .sampled = json.at("sampled").get<std::int64_t>(),
        .end = json.at("end").get<std::int64_t>()};
  } catch (const nlohmann::json::exception& error) {
    fail(path, ": is not the state of a run (", error.what(), ")");
  }
}

std::string weights_file(const std::string& folder) {
  const std::string averaged = join(folder, "average.safetensors");
  return exists(averaged) ? averaged : join(folder, "weights.safetensors");
}

void load_weights(const std::string& folder, Parameters& parameters, const Parameters* demanded) {
  const TensorFile file = open_tensors(weights_file(folder));
  const auto knows = [](const auto& all, const std::string& name) {
    return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
  };
  for (const Parameter& parameter : parameters.all()) {
    const std::string& name = parameter.name;
    if (demanded != nullptr && !knows(demanded->all(), name) && !knows(file.entries(), name)) {
      continue;
    }
    read_into(file, name, parameter, parameters.master());
  }
  parameters.refresh();
}

FoundCheckpoint newest_trusted(const std::string& folder) {
  FoundCheckpoint found = find_newest_verified(real_files(), folder);
  if (found || found.rejected.empty()) return found;
  std::string reasons;
  for (const auto& rejected : found.rejected) {
    reasons += cat("\n  ", rejected.path, ": ", rejected.reason);
  }
  fail(folder, ": no checkpoint can be trusted; `lathe run FILE --again` begins anew", reasons);
}

std::string checkpoint_of(const std::string& path, bool best) {
  if (exists(join(path, "state.json"))) {
    verify_checkpoint(real_files(), path);
    return path;
  }
  const std::string folder = join(path, "checkpoints");
  if (!exists(folder)) {
    fail(path, ": is neither a run nor a checkpoint (there is no 'checkpoints' in it)");
  }
  if (best) {
    const Checkpoints checkpoints(real_files(), folder, 1);
    if (const auto step = checkpoints.best()) {
      const std::string chosen = checkpoints.path_of(*step);
      verify_checkpoint(real_files(), chosen);
      return chosen;
    }
  }
  const FoundCheckpoint found = newest_trusted(folder);
  if (!found) fail(folder, ": holds no checkpoint yet");
  return found.path;
}

}  // namespace lathe
