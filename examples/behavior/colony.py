"""Animals and how they are related."""

from __future__ import annotations

import djq as dj

schema = dj.Schema()


@schema
class Lab(dj.Lookup):
    definition = """
    # Where an animal lives
    lab : varchar(16)
    ---
    institution : varchar(64)
    """
    contents = [
        {"lab": "harbour", "institution": "Marine Station"},
        {"lab": "hill", "institution": "University on the Hill"},
    ]


@schema
class Line(dj.Lookup):
    definition = """
    # A genetic line that is bred
    line : varchar(32)
    """
    contents = (("wild type",), ("Vgat-Cre",))


@schema
class Subject(dj.Manual):
    definition = """
    # An animal
    subject_uuid : uuid
    ---
    -> Lab
    nickname : varchar(32)
    sex = 'U' : enum('F', 'M', 'U')
    birth_date = null : date         # null: it was bought
    unique index(lab, nickname)
    """


@schema
class BreedingPair(dj.Manual):
    definition = """
    # A male and one or two females in a cage
    -> Line
    pair : varchar(16)
    ---
    -> [nullable] Subject.proj(father='subject_uuid')
    -> [nullable] Subject.proj(mother1='subject_uuid')
    -> [nullable] Subject.proj(mother2='subject_uuid')
    """


@schema
class Litter(dj.Manual):
    definition = """
    # Siblings of one birth
    -> BreedingPair
    litter : int8
    ---
    litter_date : date
    n_born : int8
    """


@schema
class LitterSubject(dj.Manual):
    definition = """
    # Which litter an animal is of
    -> Subject
    ---
    -> Litter
    """


@schema
class Weighing(dj.Manual):
    definition = """
    # Every morning
    -> Subject
    weighing_time : datetime
    ---
    weight : decimal(5,2)            # g
    """
