"""llama.py: llama.cpp's side of bench/decode.lua.

Answers the commands of bench/causal.lua on standard input, with the C API of
llama-cpp-python, so the time is that of llama_decode. Contexts are made as
llama.cpp makes them by default (flash attention where it thinks it pays,
float16 cache), for as many timelines and positions as a command needs.
"""
import ctypes
import sys
import time

import llama_cpp as ll

CHUNK = 512
PROMPT = 16
POSITIONS = 2560     # of one timeline; several have 512 each

quiet = ll.llama_log_callback(lambda level, text, data: None)
ll.llama_log_set(quiet, ctypes.c_void_p(0))
ll.llama_backend_init()


class Engine:
    model = None
    threads = 1

    def load(self, path, cache=None):  # f16, whatever decant's is
        for context in getattr(self, 'contexts', {}).values():
            ll.llama_free(context)
        if self.model:
            ll.llama_model_free(self.model)
        self.contexts, self.length = {}, 0
        self.model = ll.llama_model_load_from_file(
            path.encode(), ll.llama_model_default_params())
        assert self.model, path
        self.vocab = ll.llama_vocab_n_tokens(
            ll.llama_model_get_vocab(self.model))
        return 'ok'

    def context(self, rows):
        """The context of so many timelines; each holds its prompt."""
        if rows not in self.contexts:
            p = ll.llama_context_default_params()
            p.n_ctx = POSITIONS if rows == 1 else 512 * rows
            p.n_seq_max = rows
            self.contexts[rows] = ll.llama_init_from_model(self.model, p)
            if rows > 1:
                self.step(rows, [(self.id(row * 1000 + i), i - 1, row)
                                 for row in range(rows)
                                 for i in range(1, PROMPT + 1)])
        c = self.contexts[rows]
        ll.llama_set_n_threads(c, self.threads, self.threads)
        return c

    def id(self, i):
        return i * 7919 % self.vocab

    def step(self, rows, tokens):
        """Tokens as (id, position, timeline); scores of each one's last."""
        c = self.contexts[rows]
        batch = ll.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        last = {row: i for i, (_, _, row) in enumerate(tokens)}
        for i, (token, position, row) in enumerate(tokens):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, row
            batch.logits[i] = last[row] == i
        began = time.perf_counter()
        failed = ll.llama_decode(c, batch)
        ll.llama_get_logits_ith(c, -1)  # waits until they are there
        seconds = time.perf_counter() - began
        ll.llama_batch_free(batch)
        assert not failed
        return seconds

    def keep(self, rows, length):
        memory = ll.llama_get_memory(self.contexts[rows])
        for row in range(rows):
            ll.llama_memory_seq_rm(memory, row, length, -1)

    def prefill(self, n):
        c = self.context(1)
        self.keep(1, 0)
        seconds = self.step(1, [(self.id(i + 1), i, 0) for i in range(n)])
        self.length = n
        x = ll.llama_get_logits_ith(c, -1)
        best = max(range(self.vocab), key=lambda i: x[i])
        return f'{seconds:.6f} {best}'

    def decode(self, depth, n):
        self.context(1)
        self.keep(1, depth)
        self.length = min(self.length, depth)
        while self.length < depth:
            count = min(CHUNK, depth - self.length)
            self.step(1, [(self.id(self.length + i + 1), self.length + i, 0)
                          for i in range(count)])
            self.length += count
        seconds = sum(self.step(1, [(self.id(depth + i + 1), depth + i, 0)])
                      for i in range(n))
        self.length = depth + n
        return f'{seconds:.6f}'

    def rows(self, r, n):
        self.context(r)
        self.keep(r, PROMPT)
        seconds = sum(self.step(r, [(row * 100 + i, PROMPT + i, row)
                                    for row in range(r)]) for i in range(n))
        return f'{seconds:.6f}'

    def set_threads(self, n):
        self.threads = n
        return 'ok'

    def info(self):
        return f'llama.cpp of llama-cpp-python {ll.__version__}'


def main():
    engine = Engine()
    commands = {'load': engine.load, 'threads': engine.set_threads,
                'prefill': engine.prefill, 'decode': engine.decode,
                'rows': engine.rows, 'info': engine.info}
    for line in sys.stdin:
        name, *words = line.split()
        values = [int(w) if w.isdigit() else w for w in words]
        print(commands[name](*values), flush=True)


if __name__ == '__main__':
    main()
