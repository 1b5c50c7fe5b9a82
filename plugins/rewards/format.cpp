// reward "format": 1 where the completion keeps to a template, else 0.
//
//   [[reward]]
//   use = "format"
//   template = "<think>{}</think> <answer>{}</answer>"
//   json = "last"       # the last {} must be one JSON value; "text": the whole completion must
//
// Each {} stands for text that is not only white space, each white space of the template for any
// white space or none. Every other part must be there once, in its order; only white space may
// stand before the first and after the last of them. With `partial`, the score is the share of
// these parts that are there exactly once, times 1/2, until the whole template is kept (then 1).
#include <lathe/base/error.h>
#include <lathe/base/json.h>
#include <lathe/learn/reward.h>
#include <lathe/plugin/plugin.h>
#include <lathe/text/words.h>

#include <algorithm>

namespace lathe {

namespace {

bool is_json(std::string_view text) {
  try {
    parse_json(text, "completion");
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

class Format final : public Reward {
 public:
  struct Options : Keys {
    std::string pattern = key("template", "",
                              "parts of the text, with {} for what is free; empty: "
                              "no template");
    std::string json = key("json", "none",
                           "what must be one JSON value: the completion, or what "
                           "the last {} of the template stands for",
                           one_of({"none", "text", "last"}));
    bool partial = key("partial", false, "a text that keeps to a part of the template has a score");
  };
  explicit Format(const Config& config) : with_(config) {
    read_template();
    if (parts_.empty() && with_.json == "none") {
      fail(config.where(),
           ": reward 'format' asks for nothing: give a template, or json = \"text\"");
    }
    const bool has_hole = std::any_of(holes_.begin(), holes_.end(), [](bool hole) { return hole; });
    if (with_.json == "last" && !has_hole) {
      fail(config.where(), ": reward 'format': json = \"last\" needs a template with {}");
    }
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      for (std::size_t k = 0; k < parts_.size(); ++k) {
        if (i != k && parts_[i].find(parts_[k]) != std::string::npos) {
          fail(config.where(), ": reward 'format': the part \"", parts_[k],
               "\" of the template is in another one, \"", parts_[i], "\": parts must differ");
        }
      }
    }
  }

  void score(const Completions& completions, Scores& scores) override {
    for (std::size_t m = 0; m < completions.size(); ++m) {
      scores.values[m] = keeps(completions.texts[m]) ? 1 : partly(completions.texts[m]);
    }
  }

 private:
  // The parts between {} and white space, and holes_[i]: whether {} stands before part i, or after
  // the last part for i = parts.
  void read_template() {
    std::string part;
    bool hole = false;
    const auto end_part = [&] {
      if (part.empty()) return;
      parts_.push_back(std::exchange(part, ""));
      holes_.push_back(std::exchange(hole, false));
    };
    const std::string_view text = with_.pattern;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text.substr(at, 2) == "{}") {
        end_part();
        hole = true;
        ++at;
      } else if (text[at] == ' ' || text[at] == '\n' || text[at] == '\t') {
        end_part();
      } else {
        part += text[at];
      }
    }
    end_part();
    holes_.push_back(hole);
  }

  bool keeps(std::string_view text) const {
    if (with_.json == "text" && !is_json(text)) return false;
    if (with_.pattern.empty()) return true;
    std::string_view last_hole;
    std::size_t at = 0;
    for (std::size_t i = 0; i < holes_.size(); ++i) {
      const bool ends = i == parts_.size();
      const std::size_t found = ends ? text.size() : text.find(parts_[i], at);
      if (found == std::string_view::npos) return false;
      const std::string_view between = trimmed(text.substr(at, found - at));
      if (between.empty() == holes_[i]) return false;
      if (holes_[i]) last_hole = between;
      if (!ends) at = found + parts_[i].size();
    }
    const bool once = std::all_of(parts_.begin(), parts_.end(),
                                  [&](const std::string& part) { return stands_once(text, part); });
    return once && (with_.json != "last" || is_json(last_hole));
  }

  static bool stands_once(std::string_view text, std::string_view part) {
    const std::size_t first = text.find(part);
    return first != text.npos && text.find(part, first + 1) == text.npos;
  }

  double partly(std::string_view text) const {
    if (!with_.partial || parts_.empty()) return 0;
    const auto there = std::count_if(parts_.begin(), parts_.end(), [&](const std::string& part) {
      return stands_once(text, part);
    });
    return 0.5 * static_cast<double>(there) / static_cast<double>(parts_.size());
  }

  Options with_;
  std::vector<std::string> parts_;
  std::vector<bool> holes_;
};

LATHE_PLUGIN(Reward, Format, "format", "1.0.0")
}  // namespace lathe
