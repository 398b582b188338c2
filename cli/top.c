/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball top`: the terminal, and the loop over it and the sidecar. Nothing here is in the way of
 * a run: it asks what the reading commands ask. */
#include "cli/top.h"

#include <errno.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>

#undef lines /* of term.h */
#undef columns

/* ---- the terminal, and leaving it --------------------------------------------------------- */

static struct {
    struct termios before;
    char leave[256]; /* what makes the terminal a shell's again */
    size_t leave_bytes;
} terminal;

static int leave_add(int byte)
{
    if (terminal.leave_bytes < sizeof terminal.leave)
        terminal.leave[terminal.leave_bytes++] = (char)byte;
    return byte;
}

static void leave_text(const char *name)
{
    const char *text = tigetstr(name);

    if (text != NULL && text != (const char *)-1)
        (void)tputs(text, 1, leave_add);
}

static void leave_prepare(void)
{
    static const char *const names[] = {"op", "sgr0", "cnorm", "rmkx", "rmcup"};

    (void)tcgetattr(STDIN_FILENO, &terminal.before);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        leave_text(names[i]);
    if (exit_ca_mode == NULL) { /* there is one screen: what follows gets a line of its own */
        (void)leave_add('\r');
        (void)leave_add('\n');
        leave_text("ed");
    }
}

/* Whatever ends us, a crash as well. A terminal that takes nothing at the moment is not waited for.
 */
static void on_end(int number)
{
    struct pollfd out = {STDOUT_FILENO, POLLOUT, 0};

    (void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
    if (poll(&out, 1, 0) == 1 &&
        write(STDOUT_FILENO, terminal.leave, terminal.leave_bytes) != (ssize_t)terminal.leave_bytes)
        _exit(128 + number);
    (void)raise(number); /* it is at its default again, and pending until we return */
}

static void ends_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV,
                                  SIGBUS, SIGABRT, SIGFPE, SIGILL};
    struct sigaction action = {.sa_handler = on_end, .sa_flags = (int)SA_RESETHAND}, before;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            (void)sigaction(numbers[i], &action, NULL);
}

static const struct {
    enum top_style style;
    short colour; /* -1: none of its own */
    attr_t attributes;
} styles[] = {{TOP_PLAIN, -1, A_NORMAL},        {TOP_TITLE, -1, A_REVERSE},
              {TOP_HEAD, COLOR_CYAN, A_BOLD},   {TOP_CHOSEN, -1, A_REVERSE},
              {TOP_WARN, COLOR_YELLOW, A_BOLD}, {TOP_BAD, COLOR_RED, A_BOLD}};

static void colours_begin(void)
{
    const char *none = getenv("NO_COLOR");

    if ((none != NULL && *none != '\0') || !has_colors() || start_color() == ERR)
        return;
    (void)use_default_colors();
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++)
        if (styles[i].colour >= 0)
            (void)init_pair((short)(styles[i].style + 1), styles[i].colour, -1);
}

/* CLI_OK, or the exit code of what has been told; the screen is to be deleted. */
static int terminal_begin(SCREEN **screen_out)
{
    const char *name = getenv("TERM");
    TERMINAL *looked_at;
    int found;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return cli_usage("top", "it needs a terminal (`flyball status` does not)");
    if (name == NULL || *name == '\0' || setupterm(name, STDOUT_FILENO, &found) == ERR)
        return cli_usage("top", "the terminal '%s' is not known here (`flyball status` needs none)",
                         name != NULL ? name : "");
    if (cursor_address == NULL)
        return cli_usage("top",
                         "the terminal '%s' cannot move its cursor (`flyball status` needs "
                         "no terminal)",
                         name);
    (void)setlocale(LC_CTYPE, "");
    leave_prepare();
    ends_catch();
    looked_at = cur_term;
    *screen_out = newterm(name, stdout, stdin); /* which has a description of its own */
    (void)del_curterm(looked_at);
    if (*screen_out == NULL)
        return cli_fail(CLI_USAGE, "the terminal '%s' cannot be used", name);
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(50);
    colours_begin();
    return CLI_OK;
}

/* ---- drawing ------------------------------------------------------------------------------ */

static void style_set(enum top_style style)
{
    attr_t attributes = A_NORMAL;

    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++)
        if (styles[i].style == style)
            attributes =
                styles[i].attributes | (styles[i].colour >= 0 ? (attr_t)COLOR_PAIR(style + 1) : 0);
    (void)attrset((int)attributes);
}

static void draw(const struct top_model *model)
{
    struct top_screen screen;

    if (!top_view(model, (unsigned)LINES, (unsigned)COLS, &screen))
        return;
    (void)erase();
    for (unsigned i = 0; i < screen.rows; i++) {
        style_set(screen.lines[i].style);
        (void)mvaddstr((int)i, 0, screen.lines[i].text);
    }
    (void)attrset(A_NORMAL);
    (void)curs_set(screen.cursor >= 0);
    if (screen.cursor >= 0)
        (void)move(LINES - 1, screen.cursor < COLS ? screen.cursor : COLS - 1);
    (void)refresh();
    top_screen_release(&screen);
}

/* ---- keys --------------------------------------------------------------------------------- */

static int key_of(int curses_key)
{
    static const struct {
        int curses, ours;
    } rows[] = {{KEY_UP, TOP_KEY_UP},         {KEY_DOWN, TOP_KEY_DOWN},
                {KEY_PPAGE, TOP_KEY_PAGE_UP}, {KEY_NPAGE, TOP_KEY_PAGE_DOWN},
                {KEY_HOME, TOP_KEY_HOME},     {KEY_BACKSPACE, TOP_KEY_BACK},
                {KEY_BTAB, TOP_KEY_BACKTAB},  {KEY_ENTER, '\n'}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].curses == curses_key)
            return rows[i].ours;
    return curses_key <= 0xff ? curses_key : 0;
}

static void keys_take(struct top_model *model, struct top_feed *feed, bool *quit)
{
    int key;

    while (!*quit && (key = getch()) != ERR) {
        char run[TOP_ID];
        json_t *order;

        memcpy(run, model->run, sizeof run);
        order = top_key(model, key_of(key), quit);
        if (order != NULL)
            top_feed_order(feed, order);
        if (strcmp(run, model->run) != 0)
            top_feed_hurry(feed);
    }
}

/* ---- the loop ----------------------------------------------------------------------------- */

static int show(struct top_model *model, struct top_feed *feed)
{
    bool quit = false;

    while (!quit) {
        struct pollfd fds[1 + TOP_FEED_FDS] = {{STDIN_FILENO, POLLIN, 0}};
        int wait_ms;
        unsigned count = 1 + top_feed_wait(feed, fds + 1, &wait_ms);

        if (poll(fds, count, wait_ms) < 0 && errno != EINTR)
            return CLI_UNAVAILABLE;
        if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            return CLI_OK; /* nobody looks any more */
        top_feed_go_on(feed);
        keys_take(model, feed, &quit);
        draw(model);
    }
    return CLI_OK;
}

int cli_top(int argc, char **argv)
{
    struct top_model model;
    struct top_feed *feed;
    SCREEN *screen = NULL;
    int code;

    if (argc > 1)
        return cli_usage("top", "'%s': no argument is expected", argv[1]);
    if (cli_inside_run())
        return cli_refuse_inside("top");
    if (!top_model_init(&model) || (feed = top_feed_new(&model)) == NULL) {
        top_model_release(&model);
        return cli_fail(CLI_UNAVAILABLE, "out of memory");
    }
    code = terminal_begin(&screen);
    if (code == CLI_OK) {
        code = show(&model, feed);
        (void)move(LINES - 1, 0);
        (void)clrtoeol();
        (void)refresh();
        (void)endwin();
        delscreen(screen);
    }
    top_feed_free(feed);
    top_model_release(&model);
    return code;
}
