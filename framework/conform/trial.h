// What a test of a conformance suite works with: the component under test, random numbers, and a
// place for what it finds.
//
// A test runs in a child process (base/child.h). Each thing it says goes to the parent at once, so
// that what was found, and what was being done, survives a crash.
#pragma once

#include <lathe/base/child.h>
#include <lathe/base/random.h>
#include <lathe/plugin/registry.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace lathe::conform {

// The component under test.
struct Subject {
  std::string kind;
  std::string name;
  Config given = {};  // options that the caller chose: they hold in every test
  bool small = true;  // the options of its kind's suite that make it small hold, too
};

// Thrown by Trial::skip: the test does not apply.
class Skipped : public Error {
 public:
  using Error::Error;
};

// Thrown by Trial::make where the component threw anything but Error.
class Foreign : public std::exception {
 public:
  explicit Foreign(std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

class Trial {
 public:
  // `number` decides all that is random; `fitting` are options that make the component small.
  Trial(Registry& registry, const Subject& subject, int level, std::string test,
        std::uint64_t number, const Say& say);

  Registry& registry() const { return registry_; }
  const std::string& kind() const { return subject_.kind; }
  const std::string& name() const { return subject_.name; }
  std::string called() const { return cat(subject_.kind, " '", subject_.name, "'"); }
  int level() const { return level_; }
  // Options of a small component, with those that the caller chose.
  const Config& options() const { return options_; }
  // Of this trial alone; `what` keeps the numbers of different purposes apart.
  RandomStream random(std::string_view what = "") const {
    return RandomStream(number_, cat("conform/", test_, "/", what));
  }

  const Descriptor& descriptor() const;
  Schema schema() const;
  // The component, made as the host makes it: options checked first. Error where it refuses,
  // Unavailable where this machine cannot offer it, Foreign where it throws anything else.
  template <class Kind>
  std::unique_ptr<Kind> make(const Config& options) const {
    return std::unique_ptr<Kind>(static_cast<Kind*>(create(options, Kind::interface_version)));
  }
  template <class Kind>
  std::unique_ptr<Kind> make() const {
    return make<Kind>(options_);
  }
  // With options as an experiment file has them: make<Reward>("budget = 2\nprice = 0.5").
  template <class Kind>
  std::unique_ptr<Kind> make(const char* toml) const {
    return make<Kind>(with(toml));
  }
  Config with(std::string_view toml) const;  // options(), and these
  // Of a kind that is known by name alone.
  std::shared_ptr<void> make_any(const Config& options) const;

  // What is being done now: told when the process dies of it.
  template <class... Parts>
  void phase(const Parts&... parts) const {
    say("phase", cat(parts...));
  }
  // A fault unless the condition holds. Gives the condition.
  template <class... Parts>
  bool expect(bool holds, const Parts&... parts) const {
    if (!holds) say("fault", cat(parts...));
    return holds;
  }
  // A fault, with both values, unless they are equal, or no further than `within` apart. The parts
  // say what was looked at: "the score of three tokens".
  template <class Got, class Wanted, class... Parts>
  bool expect_equal(const Got& got, const Wanted& wanted, const Parts&... parts) const {
    return expect(got == wanted, parts..., ": ", got, ", expected ", wanted);
  }
  template <class... Parts>
  bool expect_near(double got, double wanted, double within, const Parts&... parts) const {
    // Written so that a NaN is a fault.
    const double apart = got < wanted ? wanted - got : got - wanted;
    return expect(apart <= within, parts..., ": ", got, ", expected ", wanted, " within ", within);
  }
  template <class... Parts>
  void fault(const Parts&... parts) const {
    say("fault", cat(parts...));
  }
  template <class... Parts>
  void warn(const Parts&... parts) const {
    say("warning", cat(parts...));
  }
  template <class... Parts>
  [[noreturn]] void skip(const Parts&... parts) const {
    throw Skipped(cat(parts...));
  }

  void say(std::string_view what, std::string_view text) const;

 private:
  void* create(const Config& options, int interface_version) const;

  Registry& registry_;
  const Subject& subject_;
  int level_;
  std::string test_;
  std::uint64_t number_;
  const Say& say_;
  Config options_;
};

}  // namespace lathe::conform
