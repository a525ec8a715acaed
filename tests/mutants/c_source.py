# SPDX-License-Identifier: GPL-2.0-or-later
"""C source as tokens, and which function or table each token is in.

Comments and preprocessor lines are no tokens, but for what a #define stands for. No macro is
expanded: this is about the text.
"""
import re

TOKEN = re.compile(r"""
    (?P<space>\s+|\\\n)
  | (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<char>'(?:\\.|[^'\\])*')
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*|\d+\.\d*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#|.)
""", re.S | re.X)
DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(\w+)((?:[^\n\\]|\\.)*)", re.S)
DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)(\([^)\n]*\))?", re.S)
# No operand is before an operator that follows one of these.
WORDS = {"return", "case", "if", "while", "for", "switch", "else", "do", "sizeof", "goto"}
TYPES = {"int", "char", "short", "long", "unsigned", "signed", "bool", "void", "float", "double",
         "const", "struct", "union", "enum", "static", "volatile", "extern", "register", "typedef",
         "inline", "gpa_t", "hva_t", "gva_t", "cache_pc"}


class Token:
    """One token: kind, text, where it starts and ends in the text, what it is in, and the depths
    of braces and parentheses around it. A bracket is at the depth outside of it."""

    def __init__(self, kind, text, start):
        self.kind, self.text, self.start, self.end = kind, text, start, start + len(text)
        self.inside, self.braces, self.parens, self.code = "", 0, 0, False

    def __repr__(self):
        return f"{self.kind}:{self.text}"


def is_type(token):
    return token.kind == "name" and (token.text in TYPES or token.text.endswith("_t"))


def scan(text, start, end):
    """The tokens of text[start:end], which holds no directive."""
    tokens = []
    while start < end:
        match = TOKEN.match(text, start, end)
        if not match:
            raise ValueError(f"no token at {text[start:start + 20]!r}")
        if match.lastgroup not in ("space", "comment"):
            tokens.append(Token(match.lastgroup, match.group(), start))
        start = match.end()
    return tokens


def split_directives(text):
    """[(start, end, name of the macro or None)]: the stretches that are code."""
    stretches, start, position = [], 0, 0
    while position < len(text):
        if text.startswith("/*", position):
            position = text.find("*/", position) + 2 or len(text)
            continue
        match = DIRECTIVE.match(text, position)
        if match and text[position - 1:position] in ("", "\n"):
            stretches.append((start, position, None))
            define = DEFINE.match(text, position)
            if define:
                stretches.append((define.end(), match.end(), define.group(1)))
            start = position = match.end()
            continue
        step = TOKEN.match(text, position) if text[position] in "\"'/" else None
        position = step.end() if step else position + 1
    stretches.append((start, len(text), None))
    return stretches


def name_of(head):
    """(name, is it a function) of what a brace opens after the tokens head at file scope."""
    depth = 0
    for i, token in enumerate(head):
        if token.text == "=":
            break
        if token.text == "(":
            if depth == 0 and i and head[i - 1].kind == "name" and \
                    not head[i - 1].text.startswith("__"):
                return head[i - 1].text, True
            depth += 1
        elif token.text == ")":
            depth -= 1
    for i, token in enumerate(head):
        if i and token.text in ("[", "=") and head[i - 1].kind == "name":
            return head[i - 1].text, False
    return (head[0].text if head else ""), False


def place(tokens):
    """Sets inside, braces, parens and code of tokens at file scope."""
    head, braces, parens, inside, code = [], 0, 0, "", False
    for token in tokens:
        if token.text == "}":
            braces -= 1
        if token.text in (")", "]"):
            parens -= 1
        if token.text == "{" and braces == 0:
            inside, code = name_of(head)
            if head and head[0].text in ("struct", "union") and "=" not in [t.text for t in head] \
                    and not code:
                inside = ""
        token.braces, token.parens, token.inside, token.code = braces, parens, inside, code
        if token.text == "{":
            braces += 1
        if token.text in ("(", "["):
            parens += 1
        if braces == 0:
            if token.text in (";", "}"):
                head, code = ([], False) if token.text == ";" else (head, code)
                if token.text == "}" and code:
                    head, code = [], False
                inside = ""
            else:
                head.append(token)


def tokens_of(text):
    """All tokens of a file, in order. Those of a struct's declaration are inside ""."""
    tokens, code = [], []
    for start, end, macro in split_directives(text):
        found = scan(text, start, end)
        for token in found:
            token.inside = macro or ""
        tokens += found
        if not macro:
            code += found
    place(code)
    return tokens


def closing(tokens, i):
    """The index of the bracket that closes the one at i, or None."""
    depth = 0
    for j in range(i, len(tokens)):
        if tokens[j].text in ("(", "[", "{"):
            depth += 1
        elif tokens[j].text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                return j
    return None


def opening(tokens, i):
    """The index of the bracket that the one at i closes, or None."""
    depth = 0
    for j in range(i, -1, -1):
        if tokens[j].text in (")", "]", "}"):
            depth += 1
        elif tokens[j].text in ("(", "[", "{"):
            depth -= 1
            if depth == 0:
                return j
    return None


def is_cast(tokens, i):
    """Whether the ) at i ends a cast."""
    j = opening(tokens, i)
    if j is None or j + 1 == i:
        return False
    inner = tokens[j + 1:i]
    return any(is_type(t) for t in inner) and \
        all(t.text == "*" or t.kind == "name" for t in inner) and \
        not (j and tokens[j - 1].text == "sizeof")


def is_binary(tokens, i):
    """Whether the operator at i stands between two operands."""
    if i == 0 or i + 1 == len(tokens):
        return False
    before = tokens[i - 1]
    if before.text in (")", "]"):
        return not (before.text == ")" and is_cast(tokens, i - 1))
    return before.kind in ("number", "char") or \
        (before.kind == "name" and before.text not in WORDS and not is_type(before))
