// Starting another program and hearing what it complains of.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // NOLINT(bugprone-reserved-identifier): posix_spawn's addchdir_np, pipe2
#endif
#include "io/program.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void flv_program_last_line(char *text) {
  size_t end = strlen(text);
  while (end > 0 && (unsigned char)text[end - 1] <= ' ') end--;
  text[end] = '\0';
  const char *line = strrchr(text, '\n');
  if (line) memmove(text, line + 1, strlen(line));
}

void flv_program_ended(flv_program_end *end, int state) {
  end->signal = WIFSIGNALED(state) ? WTERMSIG(state) : 0;
  end->code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

// Starts it with its messages going to `messages`. Returns an errno.
static int spawn(const char *folder, char *const argv[], int messages, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  int fault = posix_spawn_file_actions_init(&actions);
  if (fault) return fault;
  fault = posix_spawn_file_actions_addchdir_np(&actions, folder);
  if (!fault) fault = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!fault) fault = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  if (!fault) fault = posix_spawn_file_actions_adddup2(&actions, messages, 2);
  if (!fault) fault = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return fault;
}

// Reads to the end of `messages`; the last size-1 bytes stay in text.
static void read_tail(int messages, char *text, size_t size) {
  size_t kept = 0;
  char chunk[256];
  for (;;) {
    const ssize_t got = read(messages, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const size_t n = (size_t)got, excess = kept + n > size - 1 ? kept + n - (size - 1) : 0;
    memmove(text, text + excess, kept - excess);
    kept -= excess;
    memcpy(text + kept, chunk, n);
    kept += n;
  }
  text[kept] = '\0';
}

void flv_program_run(flv_program_end *end, const char *folder, char *const argv[]) {
  *end = (flv_program_end){0};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    end->fault = errno;
    return;
  }
  pid_t pid;
  end->fault = spawn(folder, argv, ends[1], &pid);
  close(ends[1]);
  int state = 0;
  if (!end->fault) {
    read_tail(ends[0], end->said, sizeof end->said);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    flv_program_last_line(end->said);
    flv_program_ended(end, state);
  }
  close(ends[0]);
}
