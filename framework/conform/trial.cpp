#include <lathe/base/json.h>
#include <lathe/config/toml.h>
#include <lathe/conform/suite.h>
#include <lathe/conform/trial.h>

namespace lathe::conform {

Trial::Trial(Registry& registry, const Subject& subject, int level, std::string test,
             std::uint64_t number, const Say& say)
    : registry_(registry),
      subject_(subject),
      level_(level),
      test_(std::move(test)),
      number_(number),
      say_(say) {
  const Suite* suite = suite_of(subject.kind);
  const Schema known = schema();
  if (suite != nullptr && subject.small) {
    for (const auto& member : suite->fitting.members()) {
      const Option* option = known.find(member.key);
      if (option == nullptr || !fault_of(member.value, *option, member.key).empty()) continue;
      options_ = options_.with(member.key, member.value);
    }
  }
  for (const auto& member : subject.given.members()) {
    options_ = options_.with(join_path("", member.key), member.value);
  }
}

const Descriptor& Trial::descriptor() const { return registry_.find(kind(), name()); }

Schema Trial::schema() const {
  Schema schema;
  const Descriptor& found = descriptor();
  if (found.describe != nullptr) found.describe(schema);
  return schema;
}

void* Trial::create(const Config& options, int interface_version) const {
  const Descriptor& found = registry_.find(kind(), name(), interface_version);
  demand(options, schema(), called());
  try {
    return found.create(options);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Foreign(cat("its constructor threw a std::exception, \"", error.what(),
                      "\", where lathe::Error tells people what to do: use fail(...)"));
  } catch (...) {
    throw Foreign("its constructor threw something that is no std::exception: use fail(...)");
  }
}

Config Trial::with(std::string_view toml) const {
  Config options = options_;
  const Config written = parse_toml(toml, "the test's options");
  for (const auto& member : written.members()) {
    options = options.with(join_path("", member.key), member.value);
  }
  return options;
}

std::shared_ptr<void> Trial::make_any(const Config& options) const {
  return {create(options, 0), descriptor().destroy};
}

// One line a message. Text may hold any bytes, so it travels as JSON.
void Trial::say(std::string_view what, std::string_view text) const {
  const Json line = {{"what", what}, {"text", text}};
  say_(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace lathe::conform
