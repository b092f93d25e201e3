-- aggregations: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Subject.aggr(Session, n='count(*)')

-- mysql
SELECT lab.subject.subject, count(lab.session.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN lab.session ON lab.subject.subject = lab.session.subject
GROUP BY lab.subject.subject;

-- sqlite
SELECT subject.subject, count(session.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN "lab.session" AS session ON subject.subject = session.subject
GROUP BY subject.subject;

-- Subject.aggr(Session, ..., n='count(*)', exclude_nonmatching=True)

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born, count(*) AS n
FROM lab.subject
  INNER JOIN lab.session ON lab.subject.subject = lab.session.subject
GROUP BY lab.subject.subject;

-- sqlite
SELECT subject.subject, subject.species, subject.born, count(*) AS n
FROM "lab.subject" AS subject
  JOIN "lab.session" AS session ON subject.subject = session.subject
GROUP BY subject.subject;

-- Subject.aggr(Session & 'gain > 1', n='count(*)')

-- mysql
SELECT lab.subject.subject, count(q.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN (
  SELECT lab.session.subject AS subject, lab.session.session AS session, lab.session.user AS user, lab.session.gain AS gain
  FROM lab.session
  WHERE lab.session.gain > %s) AS q ON lab.subject.subject = q.subject
GROUP BY lab.subject.subject;

-- sqlite
SELECT subject.subject, count(q.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN (
  SELECT session.subject AS subject, session.session AS session, session.user AS user, session.gain AS gain
  FROM "lab.session" AS session
  WHERE session.gain > ?) AS q ON subject.subject = q.subject
GROUP BY subject.subject;

-- Subject.aggr(Session, n='count(*)') & 'n > 3'

-- mysql
SELECT lab.subject.subject, count(lab.session.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN lab.session ON lab.subject.subject = lab.session.subject
GROUP BY lab.subject.subject
HAVING count(lab.session.subject) > %s;

-- sqlite
SELECT subject.subject, count(session.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN "lab.session" AS session ON subject.subject = session.subject
GROUP BY subject.subject
HAVING count(session.subject) > ?;

-- Subject.aggr(Session, n='count(*)') & 'n > 3' & {'subject': 1}

-- mysql
SELECT lab.subject.subject, count(lab.session.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN lab.session ON lab.subject.subject = lab.session.subject
WHERE lab.subject.subject = %s
GROUP BY lab.subject.subject
HAVING count(lab.session.subject) > %s;

-- sqlite
SELECT subject.subject, count(session.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN "lab.session" AS session ON subject.subject = session.subject
WHERE subject.subject = ?
GROUP BY subject.subject
HAVING count(session.subject) > ?;

-- Subject.aggr(Session, 'species', n='count(*)') & "n > 3 and species = 'rat'"

-- mysql
SELECT lab.subject.subject, lab.subject.species, count(lab.session.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN lab.session ON lab.subject.subject = lab.session.subject
WHERE lab.subject.species = %s
GROUP BY lab.subject.subject
HAVING count(lab.session.subject) > %s;

-- sqlite
SELECT subject.subject, subject.species, count(session.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN "lab.session" AS session ON subject.subject = session.subject
WHERE subject.species = ?
GROUP BY subject.subject
HAVING count(session.subject) > ?;

-- Session * Subject.aggr(Session, n='count(*)')

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, q.n
FROM lab.session
  INNER JOIN (
  SELECT lab.subject.subject AS subject, count(session_2.subject) AS n
  FROM lab.subject
    LEFT OUTER JOIN lab.session AS session_2 ON lab.subject.subject = session_2.subject
  GROUP BY lab.subject.subject) AS q ON lab.session.subject = q.subject;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, q.n
FROM "lab.session" AS session
  JOIN (
  SELECT subject.subject AS subject, count(session_2.subject) AS n
  FROM "lab.subject" AS subject
    LEFT OUTER JOIN "lab.session" AS session_2 ON subject.subject = session_2.subject
  GROUP BY subject.subject) AS q ON session.subject = q.subject;

-- Session.aggr(Trial, n='count(*)', mean='avg(latency)').proj(m='mean * 2')

-- mysql
SELECT lab.session.subject, lab.session.session, avg(lab.trial.latency * 1e0) * %s AS m
FROM lab.session
  LEFT OUTER JOIN lab.trial ON lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session
GROUP BY lab.session.subject, lab.session.session;

-- sqlite
SELECT session.subject, session.session, avg(trial.latency * 1e0) * ? AS m
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.trial" AS trial ON session.subject = trial.subject AND session.session = trial.session
GROUP BY session.subject, session.session;
