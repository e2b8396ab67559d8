// Pipes to and from a program, none of which may make us wait for ever: all ends are non-blocking,
// and poll says which has something to do.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // NOLINT(bugprone-reserved-identifier): pipe2
#endif
#include "io/coprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

extern char **environ;

static const double last_words = 1.0, stop_grace = 2.0; // seconds
enum { AGAIN_MS = 20 };                                 // for a second answer to the first line

static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

// ---- starting ----

// Above the standard streams, which the ends are to become in the program.
static int lift(int *fd) {
  if (*fd > STDERR_FILENO) return 0;
  const int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (lifted < 0) return errno;
  close(*fd);
  *fd = lifted;
  return 0;
}

// Ends that no other program inherits, however many are being started.
static int open_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0) {
    ends[0] = ends[1] = -1;
    return errno;
  }
  const int fault = lift(&ends[0]);
  return fault ? fault : lift(&ends[1]);
}

// In that process group, with signals as a program expects them.
static int set_attributes(posix_spawnattr_t *attributes, pid_t group) {
  static const int usual[] = {SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGHUP};
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) sigaddset(&defaults, usual[i]);
  int fault = posix_spawnattr_setpgroup(attributes, group);
  if (!fault) fault = posix_spawnattr_setsigmask(attributes, &none);
  if (!fault) fault = posix_spawnattr_setsigdefault(attributes, &defaults);
  if (!fault)
    fault = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                     POSIX_SPAWN_SETSIGDEF);
  return fault;
}

// stream[i]: what becomes its standard input, output and error; -1: nothing. In the process group
// `group`, 0: its own.
static int spawn(const int stream[3], const char *command, pid_t group, pid_t *pid) {
  char shell[] = "sh", option[] = "-c", text[1024];
  if (strlen(command) >= sizeof text) return E2BIG;
  strcpy(text, command);
  char *const argv[] = {shell, option, text, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int fault = posix_spawn_file_actions_init(&actions);
  if (fault) return fault;
  if (!(fault = posix_spawnattr_init(&attributes))) {
    fault = set_attributes(&attributes, group);
    for (int i = 0; i < 3 && !fault; i++)
      fault = stream[i] >= 0
                  ? posix_spawn_file_actions_adddup2(&actions, stream[i], i)
                  : posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
    if (!fault) fault = posix_spawn(pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return fault;
}

static int set_nonblocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? errno : 0;
}

// Without one things are as they were, but for what a sudden end of ours leaves behind.
static void start_guard(flv_coprocess *p) {
  int ends[2];
  p->guard = 0;
  p->lifeline = -1;
  if (open_pipe(ends) == 0 &&
      spawn((int[]){ends[0], -1, -1}, "read -r x; sleep 2; kill -9 0", p->pid, &p->guard) == 0) {
    p->lifeline = ends[1];
    ends[1] = -1;
  }
  close_end(&ends[0]);
  close_end(&ends[1]);
}

int flv_coprocess_start(flv_coprocess *p, const char *command) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, said[2] = {-1, -1};
  pid_t pid = 0;
  int fault = open_pipe(in);
  if (!fault) fault = open_pipe(out);
  if (!fault) fault = open_pipe(said);
  if (!fault) fault = set_nonblocking(in[1]);
  if (!fault) fault = set_nonblocking(out[0]);
  if (!fault) fault = set_nonblocking(said[0]);
  if (!fault) fault = spawn((int[]){in[0], out[1], said[1]}, command, 0, &pid);
  close_end(&in[0]);
  close_end(&out[1]);
  close_end(&said[1]);
  if (fault) {
    close_end(&in[1]);
    close_end(&out[0]);
    close_end(&said[0]);
    return fault;
  }
  p->pid = pid;
  p->to = in[1];
  p->from = out[0];
  p->messages = said[0];
  p->begin = p->end = p->n_said = 0;
  p->known = false;
  start_guard(p);
  return 0;
}

bool flv_coprocess_running(const flv_coprocess *p) { return p->pid > 0; }

// ---- streams ----

// What is there of its messages; the tail stays.
static void read_messages(flv_coprocess *p) {
  char chunk[256];
  while (p->messages >= 0) {
    const ssize_t got = read(p->messages, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      close_end(&p->messages);
      return;
    }
    const size_t n = (size_t)got, room = sizeof p->said - 1;
    const size_t excess = p->n_said + n > room ? p->n_said + n - room : 0;
    memmove(p->said, p->said + excess, p->n_said - excess);
    p->n_said -= excess;
    memcpy(p->said + p->n_said, chunk, n);
    p->n_said += n;
  }
}

// What is there of its answers, as far as there is room. false: there will be no more.
static bool read_answers(flv_coprocess *p) {
  if (p->begin > 0) memmove(p->answer, p->answer + p->begin, p->end - p->begin);
  p->end -= p->begin;
  p->begin = 0;
  while (p->end < sizeof p->answer) {
    const ssize_t got = read(p->from, p->answer + p->end, sizeof p->answer - p->end);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    p->end += (size_t)got;
  }
  return true;
}

// The next whole line, or all there is if no more fits; NULL if none is there.
static char *next_line(flv_coprocess *p) {
  char *line = p->answer + p->begin, *end = memchr(line, '\n', p->end - p->begin);
  if (!end && p->end - p->begin < sizeof p->answer) return NULL;
  if (!end) end = p->answer + sizeof p->answer - 1;
  p->begin = (size_t)(end + 1 - p->answer);
  *end = '\0';
  if (end > line && end[-1] == '\r') end[-1] = '\0';
  return line;
}

// write() that raises no SIGPIPE, and leaves the process's signals as they are: the one that a
// closed pipe sends goes to this thread, where it is kept back and then taken.
static ssize_t write_quietly(int fd, const char *text, size_t n) {
  sigset_t broken, before, waiting;
  sigemptyset(&broken);
  sigaddset(&broken, SIGPIPE);
  sigpending(&waiting);
  pthread_sigmask(SIG_BLOCK, &broken, &before);
  const ssize_t wrote = write(fd, text, n);
  const int fault = errno;
  if (wrote < 0 && fault == EPIPE && !sigismember(&waiting, SIGPIPE)) {
    const struct timespec at_once = {0};
    while (sigtimedwait(&broken, NULL, &at_once) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = fault;
  return wrote;
}

// ---- asking ----

typedef struct question {
  const char *text;
  size_t size, sent;
  int lines_sent; // whole ones
} question;

// As much as it takes. false: it takes no more.
static bool send_some(flv_coprocess *p, question *q) {
  while (q->sent < q->size) {
    const ssize_t wrote = write_quietly(p->to, q->text + q->sent, q->size - q->sent);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno == EAGAIN;
    for (size_t i = q->sent; i < q->sent + (size_t)wrote; i++) q->lines_sent += q->text[i] == '\n';
    q->sent += (size_t)wrote;
  }
  return true;
}

// Waits until something can be read or sent. false: the time is over.
static bool wait_for(const flv_coprocess *p, bool sending, double until) {
  const double left = until - flv_clock();
  if (left <= 0.0) return false;
  struct pollfd ends[3] = {{.fd = p->from, .events = POLLIN},
                           {.fd = p->messages, .events = POLLIN}, // -1 is passed over
                           {.fd = sending ? p->to : -1, .events = POLLOUT}};
  const double most = p->stop ? 100.0 : 1e6;           // milliseconds, to look at that
  poll(ends, 3, (int)fmin(ceil(1000.0 * left), most)); // woken early, it is asked again
  return true;
}

// When asking is to be given up on request.
static double stop_time(flv_coprocess *p) {
  if (!p->stop || !__atomic_load_n(p->stop, __ATOMIC_RELAXED)) return HUGE_VAL;
  if (p->give_up == 0.0) p->give_up = flv_clock() + stop_grace;
  return p->give_up;
}

// The n lines behind the first `before`, which were answered.
static flv_talk talk(flv_coprocess *p, size_t size, const char *text, int before, int n,
                     double patience, flv_hear_fn *hear, void *user, int *answered) {
  question q = {.text = text, .size = size};
  double until = flv_clock() + patience;
  bool open = read_answers(p); // what nobody asked for
  bool deaf = false;           // it has closed its input
  *answered = 0;
  for (;;) {
    for (char *line; *answered < n && (line = next_line(p)); until = flv_clock() + patience) {
      if (*answered >= q.lines_sent) {
        p->begin = (size_t)(line - p->answer); // to be shown
        return FLV_TALK_EARLY;
      }
      if (!hear(user, before + *answered, line)) return FLV_TALK_REFUSED;
      ++*answered;
    }
    if (*answered == n) return FLV_TALK_DONE;
    if (!open) return FLV_TALK_ENDED;
    if (!deaf && !send_some(p, &q)) {
      deaf = true; // what it has read it may still answer
      until = fmin(until, flv_clock() + last_words);
    }
    const double over = stop_time(p);
    if (!wait_for(p, !deaf && q.sent < q.size, fmin(until, over)))
      return over < until ? FLV_TALK_STOPPED : deaf ? FLV_TALK_ENDED : FLV_TALK_SILENT;
    read_messages(p);
    open = read_answers(p);
  }
}

// Has it said more than was asked, within so many milliseconds?
static bool says_more(flv_coprocess *p, int wait) {
  struct pollfd end = {.fd = p->from, .events = POLLIN};
  if (p->begin == p->end && poll(&end, 1, wait) > 0) read_answers(p);
  return p->begin < p->end;
}

flv_talk flv_coprocess_ask(flv_coprocess *p, size_t size, const char *text, int n, double patience,
                           flv_hear_fn *hear, void *user, int *answered) {
  *answered = 0;
  if (!p->known && n > 0) {
    const size_t first = (size_t)((const char *)memchr(text, '\n', size) + 1 - text);
    const flv_talk said = talk(p, first, text, 0, 1, patience, hear, user, answered);
    if (said != FLV_TALK_DONE) return said;
    if (says_more(p, AGAIN_MS)) return FLV_TALK_EARLY;
    p->known = true;
    text += first;
    size -= first;
  }
  const int before = *answered;
  int more = 0;
  const flv_talk said = talk(p, size, text, before, n - before, patience, hear, user, &more);
  *answered += more;
  return said == FLV_TALK_DONE && says_more(p, 0) ? FLV_TALK_EARLY : said;
}

// ---- stopping ----

// Has it ended by then? Its messages are read meanwhile, so that it never waits for us.
static bool wait_end(flv_coprocess *p, double grace, int *state) {
  const double until = flv_clock() + grace;
  for (;;) {
    const pid_t got = waitpid(p->pid, state, WNOHANG);
    read_messages(p);
    if (got == p->pid) return true;
    if (got < 0 && errno != EINTR) { // somebody else waits for all children
      *state = 0;
      return true;
    }
    if (flv_clock() >= until) return false;
    struct pollfd end = {.fd = p->messages, .events = POLLIN};
    poll(&end, 1, 5);
  }
}

bool flv_coprocess_stop(flv_coprocess *p, double grace, flv_program_end *end) {
  if (!flv_coprocess_running(p)) return true;
  int state = 0;
  close_end(&p->to);
  const bool ended = wait_end(p, grace, &state);
  kill(-p->pid, SIGKILL); // and what it has started
  while (!ended && waitpid(p->pid, &state, 0) < 0 && errno == EINTR) {
  }
  while (p->guard > 0 && waitpid(p->guard, NULL, 0) < 0 && errno == EINTR) {
  }
  close_end(&p->lifeline);
  read_messages(p);
  close_end(&p->from);
  close_end(&p->messages);
  p->said[p->n_said] = '\0';
  p->pid = 0;
  if (end) {
    *end = (flv_program_end){0};
    flv_program_ended(end, state);
    memcpy(end->said, p->said, sizeof end->said);
    flv_program_last_line(end->said);
  }
  return ended;
}
