# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules by which sources are mutated: each finds, among the tokens of a file, places and what
to put there.

What the program says is not mutated (strings, texts of errors, the log), nor are assertions. No
mutant adds or takes away a line, so __LINE__ means the same.
"""
import collections
import hashlib
import re

import c_source

Edit = collections.namedtuple("Edit", "start end text")
# Their arguments are for people; as a whole they are no statements worth dropping.
TEXTS = re.compile(r"^(assert|static_assert|_Static_assert|error_\w+|f?printf|fputs|puts|perror"
                   r"|log_\w+|strerror)$")
RELATIONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "+=": "-=", "-=": "+=", "++": "--", "--": "++"}
BITS = {"<<": ">>", ">>": "<<", "|": "&", "&": "|", "^": "|", "|=": "&=", "&=": "|=", "<<=": ">>=",
        ">>=": "<<="}
NARROWER = {"uint64_t": "uint32_t", "uint32_t": "uint16_t", "uint16_t": "uint8_t",
            "int64_t": "int32_t", "int32_t": "int16_t", "int16_t": "int8_t", "int8_t": "uint8_t",
            "size_t": "uint16_t"}
FLAG = re.compile(r"^[A-Z][A-Z0-9_]{2,}$")


def conditions(tokens):
    for i, token in enumerate(tokens):
        if token.text in RELATIONS and token.kind == "op" and c_source.is_binary(tokens, i):
            yield Edit(token.start, token.end, RELATIONS[token.text])
        elif token.text in ("&&", "||"):
            yield Edit(token.start, token.end, "||" if token.text == "&&" else "&&")
        elif token.text == "!":
            yield Edit(token.start, token.end, "")
        elif token.text in ("if", "while") and tokens[i + 1].text == "(":
            j = c_source.closing(tokens, i + 1)
            first, last = tokens[i + 1], tokens[j]
            if tokens[i + 2].text != "!":
                yield Edit(first.start, last.end, lambda old: "(!" + old + ")")


def other_number(text):
    value, suffix = re.match(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", text).groups()
    number = int(value, 16 if value[:2] in ("0x", "0X") else 10)
    hexadecimal = value[:2] in ("0x", "0X")
    if number == 0:
        others = [1]
    elif number & (number - 1) == 0 and number > 1:
        others = [number << 1, number - 1]
    else:
        others = [number + 1, number - 1]
    return [(hex(n) if hexadecimal else str(n)) + suffix for n in others]


def constants(tokens):
    for token in tokens:
        if token.kind == "number" and "." not in token.text:
            for other in other_number(token.text):
                yield Edit(token.start, token.end, other)
        elif token.text in ("true", "false"):
            yield Edit(token.start, token.end, "false" if token.text == "true" else "true")


def arithmetic(tokens):
    for i, token in enumerate(tokens):
        if token.kind != "op" or token.text not in ARITHMETIC:
            continue
        if token.text in ("+", "-") and not c_source.is_binary(tokens, i):
            continue
        yield Edit(token.start, token.end, ARITHMETIC[token.text])


def bits(tokens):
    for i, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text == "~":
            yield Edit(token.start, token.end, "")
        elif token.text in BITS and c_source.is_binary(tokens, i):
            yield Edit(token.start, token.end, BITS[token.text])


def flags(tokens):
    ends = (")", ";", ",", "|", "}", "?", ":", "&&", "||", "]")
    for i, token in enumerate(tokens):
        if token.kind != "op" or token.text not in ("|", "&") or not c_source.is_binary(tokens, i):
            continue
        before, after, following = tokens[i - 1], tokens[i + 1], tokens[i + 2:i + 3]
        if FLAG.match(after.text) and following and following[0].text in ends:
            yield Edit(token.start, after.end, "")
        elif after.text == "~" and following and FLAG.match(following[0].text):
            yield Edit(token.start, following[0].end, "")
        if token.text == "|" and FLAG.match(before.text) and i > 1 and \
                tokens[i - 2].text in ("(", "=", ",", "return", "|=", "?", ":"):
            yield Edit(before.start, token.end, "")


def sizes(tokens):
    for i, token in enumerate(tokens):
        if token.text in NARROWER:
            yield Edit(token.start, token.end, NARROWER[token.text])
        elif token.text == "sizeof" and tokens[i + 1].text == "(":
            end = tokens[c_source.closing(tokens, i + 1)].end
            yield Edit(token.start, end, lambda old: "(" + old + " - 1)")


def is_declaration(statement):
    first = statement[0]
    if c_source.is_type(first) or first.text in c_source.TYPES:
        return True
    return len(statement) > 1 and first.kind == "name" and statement[1].kind == "name"


def statements(tokens):
    """[(index of the first token, index of the ";", whether it is in a row with what is before)]:
    what is called or assigned, break and continue, in functions."""
    found, start, label = [], None, False
    for i, token in enumerate(tokens):
        before = tokens[i - 1].text if i else ""
        if not token.code or token.parens or token.braces == 0:
            start = start if token.code and token.braces else None
            continue
        heads = before in (";", "{", "}", "else", "do") or \
            (before == ":" and label) or (before == ")" and ends_head(tokens, i - 1))
        label = label and before != ":" or token.text in ("case", "default")
        if heads:
            start = i
        if token.text == ";" and start is not None and start < i:
            statement = tokens[start:i]
            if dropped(statement):
                found.append((start, i, tokens[start - 1].text in (";", "{", "}")))
            start = None
    return found


def ends_head(tokens, i):
    """Whether the ) at i ends the head of an if, a for, a while or a switch."""
    j = c_source.opening(tokens, i)
    return bool(j) and tokens[j - 1].text in ("if", "for", "while", "switch")


def dropped(statement):
    """Whether to drop it is a mutant. A free() that is missing is for the leak sanitizer."""
    first = statement[0]
    if first.text in ("break", "continue"):
        return True
    if first.kind == "name" and (first.text in c_source.WORDS or TEXTS.match(first.text)):
        return False
    if first.text == "free" or (first.text not in ("*", "++", "--") and first.kind != "name"):
        return False
    return not is_declaration(statement)


def drops(tokens):
    for start, end, _ in statements(tokens):
        yield Edit(tokens[start].start, tokens[end].start, "")


ASSIGNMENTS = {"=", "|=", "&=", "+=", "-=", "^=", "<<=", ">>="}


def assigned(statement):
    """What a statement assigns to, or None."""
    words = [t.text for t in statement]
    ends = [i for i, word in enumerate(words) if word in ASSIGNMENTS]
    return words[:ends[0]] if ends else None


def contains(words, part):
    return any(words[i:i + len(part)] == part for i in range(len(words)))


def independent(one, other):
    """Two assignments of which neither says what the other assigns to."""
    first, second = assigned(one), assigned(other)
    return bool(first and second) and not contains([t.text for t in other], first) and \
        not contains([t.text for t in one], second)


def swaps(tokens):
    found = statements(tokens)
    for (first, first_end, row), (second, second_end, _) in zip(found, found[1:]):
        words = (tokens[first].text, tokens[second].text)
        if row and second == first_end + 1 and not {"break", "continue"} & set(words) and \
                not independent(tokens[first:first_end], tokens[second:second_end]):
            middle = tokens[first_end].end - tokens[first].start
            gap = tokens[second].start - tokens[first_end].end

            def swapped(old, middle=middle, gap=gap):
                return old[middle + gap:] + old[middle:middle + gap] + old[:middle]
            yield Edit(tokens[first].start, tokens[second_end].end, swapped)


# Name, how often it is chosen beside the others, generator.
RULES = [("condition", 4, conditions), ("constant", 2, constants), ("arithmetic", 1, arithmetic),
         ("bit", 2, bits), ("flag", 2, flags), ("size", 1, sizes), ("drop", 4, drops),
         ("swap", 1, swaps)]


class Mutant:
    """One change of one file: before and after are the lines it changes, made one."""

    def __init__(self, file, rule, inside, text, edit):
        old = text[edit.start:edit.end]
        new = edit.text(old) if callable(edit.text) else edit.text
        new += "\n" * (old.count("\n") - new.count("\n"))
        first = text.rfind("\n", 0, edit.start) + 1
        last = text.find("\n", edit.end)
        self.file, self.rule, self.function = file, rule, inside
        self.line = text.count("\n", 0, edit.start) + 1
        self.start, self.end, self.new = edit.start, edit.end, new
        self.before = one_line(text[first:last])
        self.after = one_line(text[first:edit.start] + new + text[edit.end:last])
        self.nth = 0

    def key(self):
        """What the list of survivors calls it: not by line."""
        return (self.file, self.function, self.rule, self.before, self.after)

    def identity(self):
        return "\t".join(self.key()) + f"\t{self.nth}"

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]

    def __str__(self):
        return f"{self.file}:{self.line} {self.function}() {self.rule}: {self.before} => " \
               f"{self.after or '(nothing)'}"


def one_line(text):
    return " ".join(text.split())


def for_people(tokens):
    """The stretches of the text that are not mutated."""
    stretches = []
    for i, token in enumerate(tokens[:-1]):
        if token.kind == "name" and TEXTS.match(token.text) and tokens[i + 1].text == "(":
            j = c_source.closing(tokens, i + 1)
            stretches.append((tokens[i + 1].start, tokens[j].end))
    return stretches


def mutants_of(file, text):
    """All mutants of a file, in the order of the text, by rule."""
    tokens = c_source.tokens_of(text)
    spared = for_people(tokens)
    inside = {t.start: t.inside for t in tokens}
    found, seen = [], collections.Counter()
    for rule, _, generate in RULES:
        for edit in generate(tokens):
            where = inside.get(edit.start, "")
            if not where or any(a < edit.end and edit.start < b and
                                not (edit.start < a and b < edit.end) for a, b in spared):
                continue
            mutant = Mutant(file, rule, where, text, edit)
            mutant.nth = seen[mutant.key()]
            seen[mutant.key()] += 1
            if mutant.before != mutant.after:
                found.append(mutant)
    return found


def order(mutants, seed):
    """The mutants of a file in the order in which they are taken: by chance, that is by a hash of
    what they are, with the rules by turns. A change elsewhere in the file moves few."""
    by_rule = collections.defaultdict(list)
    for mutant in mutants:
        digest = hashlib.sha256(f"{seed}\t{mutant.identity()}".encode()).digest()
        by_rule[mutant.rule].append((digest, mutant))
    turns = []
    for rule, weight, _ in RULES:
        for n, (digest, mutant) in enumerate(sorted(by_rule[rule], key=lambda pair: pair[0])):
            # The first of a rule comes somewhere in the first turn, by chance.
            turns.append(((n + digest[0] / 256) / weight, digest, mutant))
    return [mutant for _, _, mutant in sorted(turns, key=lambda turn: turn[:2])]


def quotas(sizes_of_files, count):
    """How many of count mutants each file gets: by size, at least one while there are enough."""
    total = sum(sizes_of_files.values())
    shares = {f: count * size / total for f, size in sizes_of_files.items()}
    wanted = {f: max(1, int(share)) for f, share in shares.items()}
    for f in sorted(shares, key=lambda f: shares[f] - int(shares[f]), reverse=True):
        if sum(wanted.values()) >= count:
            break
        wanted[f] += 1
    return wanted
