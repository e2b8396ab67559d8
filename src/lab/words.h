// Lists of words between commas.
#ifndef FLUVIAL_LAB_WORDS_H
#define FLUVIAL_LAB_WORDS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FLV_LAB_WORD = 128 };

// The next word of *at, without blanks around it, cut to FLV_LAB_WORD - 1 bytes; false at the end.
static inline bool flv_lab_word(const char **at, char word[FLV_LAB_WORD]) {
  *at += strspn(*at, " ,");
  if (!**at) return false;
  size_t n = strcspn(*at, ",");
  const char *begin = *at;
  *at += n;
  while (begin[n - 1] == ' ') n--;
  snprintf(word, FLV_LAB_WORD, "%.*s", (int)n, begin);
  return true;
}

#endif
