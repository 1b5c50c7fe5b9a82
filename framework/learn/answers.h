// What rewards compare a completion with: the dataset's answer, or another of its columns.
#pragma once

#include <lathe/learn/reward.h>

#include <string>
#include <string_view>
#include <vector>

namespace lathe {

// The column that the option `column` names, [M]; "answer" is Completions::answers. A row without a
// value holds "": not applicable. Throws Error, naming the reward and the columns that there are,
// when no row has it: when Completions::columns lacks the name, and for "answer" when all are ""
// too.
const std::vector<std::string>& answers_of(const Completions& completions,
                                           const std::string& column, std::string_view reward);

// Scores each completion against its answer; not applicable where the answer is "".
template <class Compare>  // double(const std::string& text, const std::string& answer)
void score_against(const std::vector<std::string>& answers, const Completions& completions,
                   Scores& scores, const Compare& compare) {
  for (std::size_t m = 0; m < completions.size(); ++m) {
    scores.values[m] =
        answers[m].empty() ? not_applicable : compare(completions.texts[m], answers[m]);
  }
}

}  // namespace lathe
