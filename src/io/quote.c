// Quoting for csv and Graphviz.
#include "io/quote.h"

#include <stdbool.h>
#include <string.h>

// A first '#' would begin a comment, blanks around a field would be lost.
void flv_quote_csv(FILE *f, const char *text) {
  const size_t n = strlen(text);
  const bool plain = n > 0 && !strpbrk(text, ",;\t\"\r\n") && text[0] != '#' && text[0] != ' ' &&
                     text[n - 1] != ' ';
  if (plain) {
    fputs(text, f);
    return;
  }
  fputc('"', f);
  for (const char *c = text; *c; c++) {
    if (*c == '"') fputc('"', f);
    fputc(*c, f);
  }
  fputc('"', f);
}

void flv_quote_dot(FILE *f, const char *text) {
  fputc('"', f);
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\') fputc('\\', f);
    if (*c == '&')
      fputs("&amp;", f);
    else
      fputc((unsigned char)*c < ' ' ? ' ' : *c, f);
  }
  fputc('"', f);
}
