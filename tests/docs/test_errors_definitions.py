"""What wrong definitions are answered: read it as documentation.

Each entry is the definition of a class `Wrong`, and the whole message that it gets: what is wrong,
where, and what to do. Nothing of it reaches a database.
"""

from __future__ import annotations

import pytest

from djq.definition.spec import Tier, Words, build
from djq.errors import DefinitionError

LONG = "x" * 65
NAMES = (
    "Names have lower-case letters, digits and underscores, begin with a letter, "
    "and at most 64 characters."
)
KNOWN_TYPES = (
    "Known types: bool, bytes, char, date, datetime, decimal, enum, float32, "
    "float64, int8, int16, int32, int64, json, uuid, varchar, <codec>, "
    "<codec@store>; native: tinyint, smallint, mediumint, int, bigint, float, "
    "double, decimal, time, timestamp, year, tinytext, text, mediumtext, longtext, "
    "tinyblob, blob, mediumblob, longblob, binary, varbinary."
)

DEFINITIONS = {
    # --- types
    "misspelled core type": (
        "x : int32\n---\ngain : flot32   # amplifier gain",
        (
            'unknown type "flot32" in Wrong, line 3, column 8\n'
            "    gain : flot32   # amplifier gain\n"
            "           ^^^^^^\n"
            'Did you mean "float32"? ' + KNOWN_TYPES
        ),
    ),
    "misspelled native type": (
        "x : tinyinteger",
        (
            'unknown type "tinyinteger" in Wrong, line 1, column 5\n'
            "    x : tinyinteger\n"
            "        ^^^^^^^^^^^\n"
            'Did you mean "tinyint"? ' + KNOWN_TYPES
        ),
    ),
    "type like the attribute's name": (
        "x : int32\n---\nflot32 : flot32",
        (
            'unknown type "flot32" in Wrong, line 3, column 10\n'
            "    flot32 : flot32\n"
            "             ^^^^^^\n"
            'Did you mean "float32"? ' + KNOWN_TYPES
        ),
    ),
    "no type": (
        "x",
        (
            "cannot read this line in Wrong, line 1, column 1\n"
            "    x\n"
            "    ^\n"
            "Write name : type  # comment, or name = default : type."
        ),
    ),
    "empty type": (
        "x :",
        (
            "cannot read this line in Wrong, line 1, column 1\n"
            "    x :\n"
            "    ^^^\n"
            "Write name : type  # comment, or name = default : type."
        ),
    ),
    "text behind the type": (
        "x : int32 32",
        (
            'cannot read the type "int32 32" in Wrong, line 1, column 5\n'
            "    x : int32 32\n"
            "        ^^^^^^^^\n"
            "Behind a type stand unsigned and auto_increment, or nothing."
        ),
    ),
    "unsigned core type": (
        "x : int32 unsigned",
        (
            "int32 has no unsigned form in Wrong, line 1, column 5\n"
            "    x : int32 unsigned\n"
            "        ^^^^^^^^^^^^^^\n"
            'Did you mean "int unsigned"?'
        ),
    ),
    "misspelled unsigned": (
        "x : int unsinged",
        (
            'cannot read the type "int unsinged" in Wrong, line 1, column 5\n'
            "    x : int unsinged\n"
            "        ^^^^^^^^^^^^\n"
            'Did you mean "unsigned"?'
        ),
    ),
    "unsigned text": (
        "x : int32\n---\ny : varchar(5) unsigned",
        (
            "varchar has no unsigned form in Wrong, line 3, column 5\n"
            "    y : varchar(5) unsigned\n"
            "        ^^^^^^^^^^^^^^^^^^^\n"
            "Leave unsigned out."
        ),
    ),
    "unsigned twice": (
        "x : int unsigned unsigned",
        (
            'cannot read the type "int unsigned unsigned" in Wrong, line 1, column 5\n'
            "    x : int unsigned unsigned\n"
            "        ^^^^^^^^^^^^^^^^^^^^^\n"
            "Write each word once."
        ),
    ),
    "zerofill": (
        "x : int zerofill",
        (
            'cannot read the type "int zerofill" in Wrong, line 1, column 5\n'
            "    x : int zerofill\n"
            "        ^^^^^^^^^^^^\n"
            "Behind a type stand unsigned and auto_increment, or nothing."
        ),
    ),
    "bits": (
        "x : int32\n---\ny : bit(3)",
        (
            'the type "bit" is not supported in Wrong, line 3, column 5\n'
            "    y : bit(3)\n"
            "        ^^^\n"
            "Use bool for one bit, or an integer."
        ),
    ),
    "set": (
        "x : int32\n---\ny : set('a','b')",
        (
            'the type "set" is not supported in Wrong, line 3, column 5\n'
            "    y : set('a','b')\n"
            "        ^^^\n"
            "Use json for a list, or a part with one row per value."
        ),
    ),
    "type without its length": (
        "x : varchar",
        (
            "varchar takes 1 argument, not 0 in Wrong, line 1, column 5\n"
            "    x : varchar\n"
            "        ^^^^^^^"
        ),
    ),
    "too many arguments": (
        "x : decimal(1,2,3)",
        (
            "decimal takes 2 arguments, not 3 in Wrong, line 1, column 5\n"
            "    x : decimal(1,2,3)\n"
            "        ^^^^^^^^^^^^^^"
        ),
    ),
    "too few arguments": (
        "x : decimal(5)",
        (
            "decimal takes 2 arguments, not 1 in Wrong, line 1, column 5\n"
            "    x : decimal(5)\n"
            "        ^^^^^^^^^^"
        ),
    ),
    "length that is too long": (
        "x : char(256)",
        (
            "256 is not between 1 and 255 in Wrong, line 1, column 5\n"
            "    x : char(256)\n"
            "        ^^^^^^^^^"
        ),
    ),
    "length of nothing": (
        "x : varchar(0)",
        (
            "0 is not between 1 and 16383 in Wrong, line 1, column 5\n"
            "    x : varchar(0)\n"
            "        ^^^^^^^^^^"
        ),
    ),
    "binary without its length": (
        "x : int32\n---\ny : binary",
        (
            "binary takes 1 argument, not 0 in Wrong, line 3, column 5\n"
            "    y : binary\n"
            "        ^^^^^^"
        ),
    ),
    "more fraction than digits": (
        "x : decimal(2,3)",
        (
            "decimal has more digits behind the point than in all in Wrong, line 1, column "
            "5\n"
            "    x : decimal(2,3)\n"
            "        ^^^^^^^^^^^^\n"
            "Write decimal(precision, scale)."
        ),
    ),
    "number without digits": (
        "x : decimal(0,0)",
        (
            "a number has at least one digit in Wrong, line 1, column 5\n"
            "    x : decimal(0,0)\n"
            "        ^^^^^^^^^^^^\n"
            "Write decimal(precision, scale)."
        ),
    ),
    "more fraction than digits of a float": (
        "x : int32\n---\ny : float(2,3)",
        (
            "float has more digits behind the point than in all in Wrong, line 3, column 5\n"
            "    y : float(2,3)\n"
            "        ^^^^^^^^^^\n"
            "Write float(precision, scale)."
        ),
    ),
    "float with one argument": (
        "x : int32\n---\ny : float(5)",
        (
            "float takes no argument, or two in Wrong, line 3, column 5\n"
            "    y : float(5)\n"
            "        ^^^^^^^^\n"
            "Write float, or float(p,s)."
        ),
    ),
    "too many fractional seconds": (
        "x : datetime(7)",
        (
            "7 is not between 0 and 6 in Wrong, line 1, column 5\n"
            "    x : datetime(7)\n"
            "        ^^^^^^^^^^^"
        ),
    ),
    "too many fractional seconds of a time": (
        "x : time(7)",
        ("7 is not between 0 and 6 in Wrong, line 1, column 5\n    x : time(7)\n        ^^^^^^^"),
    ),
    "length of a bool": (
        "x : bool(1)",
        (
            "bool takes 0 arguments, not 1 in Wrong, line 1, column 5\n"
            "    x : bool(1)\n"
            "        ^^^^^^^"
        ),
    ),
    "enum of numbers": (
        "x : enum(1,2)",
        (
            "enum takes different quoted texts in Wrong, line 1, column 5\n"
            "    x : enum(1,2)\n"
            "        ^^^^^^^^^\n"
            "Write enum('left','right')."
        ),
    ),
    "enum with equal values": (
        "x : enum('a','a')",
        (
            "enum takes different quoted texts in Wrong, line 1, column 5\n"
            "    x : enum('a','a')\n"
            "        ^^^^^^^^^^^^^\n"
            "Write enum('left','right')."
        ),
    ),
    "enum without quotes": (
        "x : enum(a,b)",
        (
            "cannot read these arguments in Wrong, line 1, column 10\n"
            "    x : enum(a,b)\n"
            "             ^^^\n"
            "Arguments are numbers or quoted text, with commas."
        ),
    ),
    "enum of nothing": (
        "x : enum()",
        (
            "enum takes 1 to 65535 arguments, not 0 in Wrong, line 1, column 5\n"
            "    x : enum()\n"
            "        ^^^^^^"
        ),
    ),
    "enum value that ends with a blank": (
        "x : enum('a ','b')",
        (
            "a value of an enum ends with a blank in Wrong, line 1, column 11\n"
            "    x : enum('a ','b')\n"
            "              ^^\n"
            "MySQL would drop it."
        ),
    ),
    "unknown codec": (
        "x : int32\n---\ny : <blop>",
        (
            'unknown codec "blop" in Wrong, line 3, column 5\n'
            "    y : <blop>\n"
            "        ^^^^^^\n"
            'Did you mean "blob"? Known codecs: attach, blob, npy.'
        ),
    ),
    "half a codec": (
        "x : int32\n---\ny : <blob",
        (
            'cannot read the type "<blob" in Wrong, line 3, column 5\n'
            "    y : <blob\n"
            "        ^^^^^\n"
            "Write <blob>, <blob@store>, or <blob@> for the default store."
        ),
    ),
    # --- names, comments, sections
    "upper-case name": (
        "Subject : int32",
        (
            'bad attribute name "Subject" in Wrong, line 1, column 1\n'
            "    Subject : int32\n"
            "    ^^^^^^^\n" + NAMES
        ),
    ),
    "name with a blank": (
        "my name : int32",
        (
            "cannot read this line in Wrong, line 1, column 1\n"
            "    my name : int32\n"
            "    ^^^^^^^^^^^^^^^\n"
            "Write name : type  # comment, or name = default : type."
        ),
    ),
    "hidden name": (
        "_x : int32",
        ('bad attribute name "_x" in Wrong, line 1, column 1\n    _x : int32\n    ^^\n' + NAMES),
    ),
    "name that is too long": (
        f"{LONG} : int32",
        (
            f'bad attribute name "{LONG}" in Wrong, line 1, column 1\n'
            f"    {LONG} : int32\n"
            f"    {'^' * 65}\n" + NAMES
        ),
    ),
    "attribute twice": (
        "x : int32\nx : int8",
        (
            '"x" is declared twice in Wrong, line 2, column 1\n'
            "    x : int8\n"
            "    ^\n"
            "Remove one, or rename it."
        ),
    ),
    "comment with a colon": (
        "x : int32 # :y",
        (
            "the comment begins with a colon in Wrong, line 1, column 13\n"
            "    x : int32 # :y\n"
            "                ^^\n"
            "Begin it with another character."
        ),
    ),
    "table comment with a colon": (
        "# :things\nx : int32",
        (
            "the table comment begins with a colon in Wrong, line 1, column 3\n"
            "    # :things\n"
            "      ^^^^^^^\n"
            "Begin it with another character."
        ),
    ),
    "character that is none": (
        "x : int32  # a\u0000b",
        (
            "the character '\\x00' is not one of text in Wrong, line 1, column 15\n"
            "    x : int32  # a\\x00b\n"
            "                  ^^^^\n"
            "Remove it."
        ),
    ),
    "half of a character": (
        "x : int32  # \ud800",
        (
            "the character '\\ud800' is not one of text in Wrong, line 1, column 14\n"
            "    x : int32  # \\ud800\n"
            "                 ^^^^^^\n"
            "Remove it."
        ),
    ),
    "nothing": (
        "---",
        ("Wrong has no attributes: add lines such as subject : int32"),
    ),
    "only a comment": (
        "# things",
        ("Wrong has no attributes: add lines such as subject : int32"),
    ),
    "two dividers": (
        "x : int32\n---\ny : int8\n---",
        (
            "a second divider in Wrong, line 4, column 1\n"
            "    ---\n"
            "    ^^^\n"
            "One line of dashes ends the primary key; remove the other."
        ),
    ),
    "null in the key": (
        "x = null : int32",
        (
            "an attribute of the primary key cannot be null in Wrong, line 1, column 1\n"
            "    x = null : int32\n"
            "    ^\n"
            "Give it a value or move it below the dashes."
        ),
    ),
    "json in the key": (
        "x : json",
        (
            "json cannot be part of the primary key in Wrong, line 1, column 5\n"
            "    x : json\n"
            "        ^^^^\n"
            "Move it below the dashes."
        ),
    ),
    "blob in the key": (
        "x : <blob>",
        (
            "<blob> cannot be part of the primary key in Wrong, line 1, column 5\n"
            "    x : <blob>\n"
            "        ^^^^^^\n"
            "Move it below the dashes."
        ),
    ),
    "longblob in the key": (
        "x : longblob",
        (
            "longblob cannot be part of the primary key in Wrong, line 1, column 5\n"
            "    x : longblob\n"
            "        ^^^^^^^^\n"
            "Move it below the dashes."
        ),
    ),
    "text in the key": (
        "x : text",
        (
            "text cannot be part of the primary key in Wrong, line 1, column 5\n"
            "    x : text\n"
            "        ^^^^\n"
            "Move it below the dashes."
        ),
    ),
    # --- defaults
    "default that does not fit": (
        "x : int32\n---\ny = 300 : int8",
        (
            "bad default: 300 is outside of int8 (-128 to 127) in Wrong, line 3, column 5\n"
            "    y = 300 : int8\n"
            "        ^^^"
        ),
    ),
    "negative default of an unsigned type": (
        "x : int32\n---\ny = -1 : int unsigned",
        (
            "bad default: -1 is outside of int unsigned (0 to 4294967295) in Wrong, line "
            "3, column 5\n"
            "    y = -1 : int unsigned\n"
            "        ^^"
        ),
    ),
    "default of another type": (
        "x : int32\n---\ny = 'a' : float64",
        (
            "bad default: 'a' is not a number in Wrong, line 3, column 5\n"
            "    y = 'a' : float64\n"
            "        ^^^"
        ),
    ),
    "default that is not there": (
        "x : int32\n---\ny = : int8",
        (
            "cannot read this line in Wrong, line 3, column 1\n"
            "    y = : int8\n"
            "    ^^^^^^^^^^\n"
            "Write name : type  # comment, or name = default : type."
        ),
    ),
    "default that is no time": (
        "x : int32\n---\ny = '25:61:00' : time",
        (
            "bad default: '25:61:00' is not a time: use datetime.timedelta, datetime.time, "
            "or hh:mm:ss in Wrong, line 3, column 5\n"
            "    y = '25:61:00' : time\n"
            "        ^^^^^^^^^^"
        ),
    ),
    "default before the first timestamp": (
        "x : int32\n---\ny = '1969-12-31' : timestamp",
        (
            "bad default: 1969-12-31 00:00:00 is outside of timestamp (1970-01-01 00:00:01 "
            "to 2038-01-19 03:14:07, UTC); datetime holds it in Wrong, line 3, column 5\n"
            "    y = '1969-12-31' : timestamp\n"
            "        ^^^^^^^^^^^^"
        ),
    ),
    "default of an enum": (
        "x : int32\n---\ny='c' : enum('a','b')",
        (
            "bad default: 'c' is not one of 'a', 'b' in Wrong, line 3, column 3\n"
            "    y='c' : enum('a','b')\n"
            "      ^^^"
        ),
    ),
    "default of a blob": (
        "x : int32\n---\ny = 5 : <blob>",
        (
            "<blob> can only be null by default in Wrong, line 3, column 5\n"
            "    y = 5 : <blob>\n"
            "        ^\n"
            "Write y = null : <blob>."
        ),
    ),
    "default of a text": (
        "x : int32\n---\ny = 'a' : text",
        (
            "text can only be null by default in Wrong, line 3, column 5\n"
            "    y = 'a' : text\n"
            "        ^^^\n"
            "Write y = null : text."
        ),
    ),
    "default of json": (
        "x : int32\n---\ny = '{}' : json",
        (
            "json can only be null by default in Wrong, line 3, column 5\n"
            "    y = '{}' : json\n"
            "        ^^^^\n"
            "Write y = null : json."
        ),
    ),
    "default of binary": (
        "x : int32\n---\ny = 'a' : binary(4)",
        (
            "binary(4) can only be null by default in Wrong, line 3, column 5\n"
            "    y = 'a' : binary(4)\n"
            "        ^^^\n"
            "Write y = null : binary(4)."
        ),
    ),
    "CURRENT_TIMESTAMP of a number": (
        "x : int32\n---\ny = CURRENT_TIMESTAMP : int32",
        (
            "CURRENT_TIMESTAMP is a default of datetime and timestamp in Wrong, line 3, "
            "column 5\n"
            "    y = CURRENT_TIMESTAMP : int32\n"
            "        ^^^^^^^^^^^^^^^^^"
        ),
    ),
    "quote that does not end": (
        "x : int32\n---\ny = 'a : varchar(5)",
        (
            "cannot read this line in Wrong, line 3, column 1\n"
            "    y = 'a : varchar(5)\n"
            "    ^^^^^^^^^^^^^^^^^^^\n"
            "Write name : type  # comment, or name = default : type."
        ),
    ),
    # --- auto_increment
    "counting text": (
        "x : varchar(5) auto_increment",
        (
            "varchar(5) cannot count up in Wrong, line 1, column 16\n"
            "    x : varchar(5) auto_increment\n"
            "                   ^^^^^^^^^^^^^^\n"
            "Use an integer, such as int32."
        ),
    ),
    "counting below the dashes": (
        "x : int32\n---\ny : int32 auto_increment",
        (
            "only the primary key counts up in Wrong, line 3, column 11\n"
            "    y : int32 auto_increment\n"
            "              ^^^^^^^^^^^^^^\n"
            "Move the attribute above the dashes, or leave auto_increment out."
        ),
    ),
    "counting in a key of two": (
        "x : int32\ny : int32 auto_increment",
        (
            "an attribute that counts up is the whole primary key in Wrong, line 2, column "
            "11\n"
            "    y : int32 auto_increment\n"
            "              ^^^^^^^^^^^^^^\n"
            '"x" is in it, too: move one below the dashes, or leave auto_increment out.'
        ),
    ),
    "a key of two that counts": (
        "x : serial\ny : int32",
        (
            "an attribute that counts up is the whole primary key in Wrong, line 2, column "
            "1\n"
            "    y : int32\n"
            "    ^\n"
            '"x" is in it, too: move one below the dashes, or leave auto_increment out.'
        ),
    ),
    "a reference beside what counts": (
        "x : serial\n-> Subject",
        (
            "an attribute that counts up is the whole primary key in Wrong, line 2, column "
            "4\n"
            "    -> Subject\n"
            "       ^^^^^^^\n"
            '"x" counts up: move the reference below the dashes.'
        ),
    ),
    "counting from a default": (
        "x = 5 : int32 auto_increment",
        (
            "an attribute that counts up has no default in Wrong, line 1, column 5\n"
            "    x = 5 : int32 auto_increment\n"
            "        ^\n"
            "Remove it, or auto_increment."
        ),
    ),
    # --- references
    "unknown table": (
        "-> Subjct",
        (
            'unknown table "Subjct" in Wrong, line 1, column 4\n'
            "    -> Subjct\n"
            "       ^^^^^^\n"
            'Did you mean "Subject"?'
        ),
    ),
    "no table": (
        "-> 5",
        (
            "cannot read this reference in Wrong, line 1, column 1\n"
            "    -> 5\n"
            "    ^^^^\n"
            "Write -> Table, -> module.Table, -> [nullable] Table or -> "
            "Table.proj(new='old')."
        ),
    ),
    "reference to a restriction": (
        "-> Subject & 'x>1'",
        (
            "cannot read this reference in Wrong, line 1, column 1\n"
            "    -> Subject & 'x>1'\n"
            "    ^^^^^^^^^^^^^^^^^^\n"
            "A reference is to a table, not to a query: leave out what restricts or joins "
            "it."
        ),
    ),
    "reference to a join": (
        "-> Subject * Session",
        (
            "cannot read this reference in Wrong, line 1, column 1\n"
            "    -> Subject * Session\n"
            "    ^^^^^^^^^^^^^^^^^^^^\n"
            "A reference is to a table, not to a query: leave out what restricts or joins "
            "it."
        ),
    ),
    "unknown option": (
        "-> [optional] Subject",
        (
            'unknown option "optional" in Wrong, line 1, column 5\n'
            "    -> [optional] Subject\n"
            "        ^^^^^^^^\n"
            "The options of a reference are nullable and unique."
        ),
    ),
    "nullable in the key": (
        "-> [nullable] Subject",
        (
            "a reference of the primary key cannot be nullable in Wrong, line 1, column 5\n"
            "    -> [nullable] Subject\n"
            "        ^^^^^^^^\n"
            "Move it below the dashes."
        ),
    ),
    "rename of nothing": (
        "-> Subject.proj(who='subjct')",
        (
            '"subjct" is not in the primary key of Subject in Wrong, line 1, column 22\n'
            "    -> Subject.proj(who='subjct')\n"
            "                         ^^^^^^\n"
            "Its key: subject."
        ),
    ),
    "rename of two to one": (
        "-> Session.proj(a='subject', a='session')",
        (
            '"a" is renamed twice in Wrong, line 1, column 17\n'
            "    -> Session.proj(a='subject', a='session')\n"
            "                    ^\n"
            "Write one reference for each."
        ),
    ),
    "rename twice": (
        "-> Session.proj(a='subject', b='subject')",
        (
            '"subject" is renamed twice in Wrong, line 1, column 20\n'
            "    -> Session.proj(a='subject', b='subject')\n"
            "                       ^^^^^^^\n"
            "Write one reference for each."
        ),
    ),
    "rename onto another": (
        "-> Session.proj(session='subject')",
        (
            'two attributes of the reference would be called "session" in Wrong, line 1, '
            "column 17\n"
            "    -> Session.proj(session='subject')\n"
            "                    ^^^^^^^\n"
            "Give each a name of its own."
        ),
    ),
    "rename to a bad name": (
        f"-> Subject.proj({LONG}='subject')",
        (
            f'bad attribute name "{LONG}" in Wrong, line 1, column 17\n'
            f"    -> Subject.proj({LONG}='subject')\n"
            f"                    {'^' * 65}\n" + NAMES
        ),
    ),
    "projection that computes": (
        "-> Subject.proj(n='subject+1')",
        (
            "cannot read this projection in Wrong, line 1, column 17\n"
            "    -> Subject.proj(n='subject+1')\n"
            "                    ^^^^^^^^^^^^^\n"
            "A reference may only rename: new_name='old_name'."
        ),
    ),
    "projection that selects": (
        "-> Subject.proj('name')",
        (
            "cannot read this projection in Wrong, line 1, column 17\n"
            "    -> Subject.proj('name')\n"
            "                    ^^^^^^\n"
            "A reference may only rename: new_name='old_name'."
        ),
    ),
    "name with another meaning": (
        "subject : int32\n-> Subject",
        (
            '"subject" is here already, with another meaning in Wrong, line 2, column 4\n'
            "    -> Subject\n"
            "       ^^^^^^^\n"
            "Rename it: -> Subject.proj(new_name='subject')."
        ),
    ),
    "reference to itself in the key": (
        "-> Wrong.proj(father='x')\nx : int32",
        (
            "a table cannot refer to itself within its own key in Wrong, line 1, column 4\n"
            "    -> Wrong.proj(father='x')\n"
            "       ^^^^^\n"
            "Move the reference below the dashes."
        ),
    ),
    "reference to itself without a name": (
        "x : int32\n---\n-> [nullable] Wrong",
        (
            "every row would refer to itself in Wrong, line 3, column 15\n"
            "    -> [nullable] Wrong\n"
            "                  ^^^^^\n"
            "Rename what is referred to: -> Wrong.proj(parent_x='x')."
        ),
    ),
    "reference to a table of one row": (
        "x : int32\n---\n-> Settings",
        (
            "Settings has one row and no key: there is nothing to refer to in Wrong, line "
            "3, column 4\n"
            "    -> Settings\n"
            "       ^^^^^^^^\n"
            "Leave the reference out, or give Settings a key."
        ),
    ),
    # --- indexes
    "index of an unknown attribute": (
        "x : int32\nindex(y)",
        (
            'unknown attribute "y" in Wrong, line 2, column 7\n'
            "    index(y)\n"
            "          ^\n"
            "Declare it above the index. Known: x."
        ),
    ),
    "index above its attribute": (
        "index(x)\nx : int32",
        (
            'unknown attribute "x" in Wrong, line 1, column 7\n'
            "    index(x)\n"
            "          ^\n"
            "Declare it above the index. Known: ."
        ),
    ),
    "index of nothing": (
        "x : int32\nindex()",
        (
            "cannot read this index in Wrong, line 2, column 1\n"
            "    index()\n"
            "    ^^^^^^^\n"
            "Write index(a, b); expressions stand in parentheses of their own, as in "
            "index((lower(a))), and paths into JSON have a type, as in index(a.b:unsigned)."
        ),
    ),
    "index without its end": (
        "x : int32\nindex(x",
        (
            "cannot read this index in Wrong, line 2, column 1\n"
            "    index(x\n"
            "    ^^^^^^^\n"
            "Write index(a, b) or unique index(a, b)."
        ),
    ),
    "index of an attribute twice": (
        "x : int32\nindex(x, x)",
        (
            "x is in this index twice in Wrong, line 2, column 7\n"
            "    index(x, x)\n"
            "          ^\n"
            "Leave one out."
        ),
    ),
    "expression without parentheses": (
        "x : int32\nindex(x + 1)",
        (
            "cannot read this index in Wrong, line 2, column 7\n"
            "    index(x + 1)\n"
            "          ^^^^^\n"
            "Write index(a, b); expressions stand in parentheses of their own, as in "
            "index((lower(a))), and paths into JSON have a type, as in index(a.b:unsigned)."
        ),
    ),
    "expression of an unknown attribute": (
        "x : int32\nindex((y + 1))",
        (
            'unknown attribute "y" in Wrong, line 2, column 8\n'
            "    index((y + 1))\n"
            "           ^\n"
            "Declare it above the index. Known: x."
        ),
    ),
    "index of json": (
        "x : int32\n---\ny : json\nindex(y)",
        (
            '"y" is json, which is not indexed as a whole in Wrong, line 4, column 7\n'
            "    index(y)\n"
            "          ^\n"
            "Name a value within it, as in index(y.path:char(20))."
        ),
    ),
    "index of a blob": (
        "x : int32\n---\ny : <blob>\nindex(y)",
        (
            '"y" is <blob>, which is not indexed in Wrong, line 4, column 7\n'
            "    index(y)\n"
            "          ^\n"
            "Leave it out."
        ),
    ),
    "path into a number": (
        "x : int32\nindex(x.a:unsigned)",
        (
            '"x" is int32, not json: it has no paths in Wrong, line 2, column 7\n'
            "    index(x.a:unsigned)\n"
            "          ^"
        ),
    ),
    "path of an unknown type": (
        "x : int32\n---\ny : json\nindex(y.a:int32)",
        (
            '"int32" is not a type of a value within JSON in Wrong, line 4, column 7\n'
            "    index(y.a:int32)\n"
            "          ^^^^^^^^^\n"
            "Known: char, date, datetime, decimal, double, float, signed, time, unsigned, "
            "year."
        ),
    ),
}


def declare(text, class_name="Wrong", tier=Tier.MANUAL, master=None):
    """Build a spec beside three tables: Subject, Session of a subject, and Settings of one row."""
    tables = {}

    def resolve(name):
        if name not in tables:
            message = f'unknown table "{name}"'
            raise DefinitionError(
                message, *(['Did you mean "Subject"?'] if name == "Subjct" else [])
            )
        return tables[name]

    for name, definition in {
        "Subject": "subject : int32",
        "Session": "-> Subject\nsession : int32",
        "Settings": "---\nrate : float64",
    }.items():
        tables[name] = build(
            definition, schema="lab", class_name=name, tier=Tier.MANUAL, resolve=resolve
        )
    return build(
        text,
        schema="lab",
        class_name=class_name,
        tier=tier,
        resolve=resolve,
        master=tables.get(master),
        words=Words(codecs=("attach", "blob", "npy"), reserved=("status",)),
    )


@pytest.mark.parametrize("case", DEFINITIONS)
def test_a_wrong_definition(case):
    definition, message = DEFINITIONS[case]

    with pytest.raises(DefinitionError) as error:
        declare(definition)

    assert str(error.value) == message


def test_a_name_that_the_job_records_use():
    with pytest.raises(DefinitionError, match=r'(?s)"status" cannot be in the key: .*my_status'):
        declare("status : int32")


def test_a_part_that_does_not_refer_to_its_master():
    with pytest.raises(DefinitionError, match="add the line -> master"):
        declare("x : int32", class_name="Piece", master="Subject")


def test_a_computed_table_of_one_row():
    with pytest.raises(DefinitionError, match="nothing to compute it for"):
        declare("---\nx : int32", tier=Tier.COMPUTED)


@pytest.mark.parametrize("name", ["wrong", "Wrong_Name", "Wröng", "2Wrong", ""])
def test_a_bad_class_name(name):
    with pytest.raises(DefinitionError, match="table classes are CamelCase"):
        declare("x : int32", class_name=name)


def test_a_class_name_that_is_too_long():
    with pytest.raises(DefinitionError, match=r"has 65 characters, 64 fit: shorten"):
        declare("x : int32", class_name=LONG.capitalize())
