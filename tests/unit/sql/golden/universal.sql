-- universal: what queries become, written by tests/unit/sql/test_golden_sql.py

-- dj.U('species') & Subject

-- mysql
SELECT DISTINCT lab.subject.species
FROM lab.subject;

-- sqlite
SELECT DISTINCT subject.species
FROM "lab.subject" AS subject;

-- dj.U('subject') & Session

-- mysql
SELECT DISTINCT lab.session.subject
FROM lab.session;

-- sqlite
SELECT DISTINCT session.subject
FROM "lab.session" AS session;

-- dj.U('species') & (Subject & 'born > "2020-01-01"')

-- mysql
SELECT DISTINCT lab.subject.species
FROM lab.subject
WHERE lab.subject.born > %s;

-- sqlite
SELECT DISTINCT subject.species
FROM "lab.subject" AS subject
WHERE subject.born > ?;

-- (dj.U('species') & Subject) & {'species': 'rat'}

-- mysql
SELECT DISTINCT lab.subject.species
FROM lab.subject
WHERE lab.subject.species = %s;

-- sqlite
SELECT DISTINCT subject.species
FROM "lab.subject" AS subject
WHERE subject.species = ?;

-- dj.U('species').aggr(Subject, n='count(*)')

-- mysql
SELECT lab.subject.species, count(*) AS n
FROM lab.subject
GROUP BY lab.subject.species;

-- sqlite
SELECT subject.species, count(*) AS n
FROM "lab.subject" AS subject
GROUP BY subject.species;

-- dj.U('species').aggr(Subject, n='count(*)') & 'n > 3'

-- mysql
SELECT lab.subject.species, count(*) AS n
FROM lab.subject
GROUP BY lab.subject.species
HAVING count(*) > %s;

-- sqlite
SELECT subject.species, count(*) AS n
FROM "lab.subject" AS subject
GROUP BY subject.species
HAVING count(*) > ?;

-- dj.U().aggr(Subject, n='count(*)', youngest='max(born)')

-- mysql
SELECT count(*) AS n, max(lab.subject.born) AS youngest
FROM lab.subject;

-- sqlite
SELECT count(*) AS n, max(subject.born) AS youngest
FROM "lab.subject" AS subject;

-- dj.U('gain') * Session

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.gain, lab.session.user
FROM lab.session;

-- sqlite
SELECT session.subject, session.session, session.gain, session.user
FROM "lab.session" AS session;

-- Subject & dj.U('species')

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject;

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject;
