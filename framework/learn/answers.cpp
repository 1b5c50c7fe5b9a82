#include <lathe/base/error.h>
#include <lathe/learn/answers.h>

#include <algorithm>

namespace lathe {

const std::vector<std::string>& answers_of(const Completions& completions,
                                           const std::string& column, std::string_view reward) {
  const auto given = [](const std::string& answer) { return !answer.empty(); };
  const bool any = std::any_of(completions.answers.begin(), completions.answers.end(), given);
  // A column that the dataset has is never an error, though all rows of this batch may lack it.
  const auto found = completions.columns.find(column);
  const bool known = found != completions.columns.end();
  if ((column == "answer" && (any || known)) || completions.size() == 0) return completions.answers;
  if (known) return found->second;
  std::string names = any ? "answer" : "";
  for (const auto& [name, values] : completions.columns) {
    names += (names.empty() ? "" : ", ") + name;
  }
  fail("reward '", reward, "' compares with the column '", column, "', which no row has; there ",
       names.empty() ? "are none" : "are: ", names,
       ". Set its option `column`, or give the data such a column");
}

}  // namespace lathe
