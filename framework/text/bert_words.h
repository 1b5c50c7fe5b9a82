// BERT's basic tokenizer (Devlin et al., 2019): a text into words, before WordPiece cuts these.
#pragma once

#include <functional>
#include <string_view>

namespace lathe {

// The steps that a vocabulary asks for, in the order in which they are taken.
struct BertRules {
  bool clean = true;          // control and unassigned characters go, white space becomes a space
  bool ideographs = true;     // spaces around each CJK ideograph
  bool strip_accents = true;  // canonical decomposition, then nonspacing marks (Mn) go
  bool lowercase = true;      // character by character, without context
};

// Calls `hear` with each word of a UTF-8 text in order: runs between white space, in which each
// punctuation character (Unicode P*, and ASCII's symbols) is a word of its own. The words live as
// long as the call. Unicode as ICU knows it.
void for_each_bert_word(std::string_view text, const BertRules& rules,
                        const std::function<void(std::string_view word)>& hear);

}  // namespace lathe
