-- chains: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Session

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session;

-- Session & {'subject': 1}

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE lab.session.subject = %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE session.subject = ?;

-- Session & {'subject': 1, 'session': 2}

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE lab.session.subject = %s AND lab.session.session = %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE session.subject = ? AND session.session = ?;

-- Session & [{'subject': 1, 'session': 2}, {'subject': 3, 'session': 4}]

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE (lab.session.subject, lab.session.session) IN ((%s, %s), (%s, %s));

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE (session.subject, session.session) IN (
  SELECT column1, column2
  FROM (VALUES (?, ?), (?, ?)));

-- Session & [{'subject': 1, 'session': 2}, {'subject': 1, 'session': 4}]

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE lab.session.subject = %s AND lab.session.session IN (%s, %s);

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE session.subject = ? AND session.session IN (?, ?);

-- (Session & 'gain > 1' & {'user': None}) - 'session in (1, 2)'

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE lab.session.gain > %s AND lab.session.user IS NULL AND ((lab.session.session IN (%s, %s)) IS NOT TRUE);

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE session.gain > ? AND session.user IS NULL AND ((session.session IN (?, ?)) IS NOT TRUE);

-- (Session & 'gain > 1').proj('gain') & 'gain < 5'

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.gain
FROM lab.session
WHERE lab.session.gain > %s AND lab.session.gain < %s;

-- sqlite
SELECT session.subject, session.session, session.gain
FROM "lab.session" AS session
WHERE session.gain > ? AND session.gain < ?;

-- (Session.proj(g='gain * 2') & 'g > 1').proj(h='g + 1') & 'h < 5'

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.gain * %s + %s AS h
FROM lab.session
WHERE lab.session.gain * %s > %s AND lab.session.gain * %s + %s < %s;

-- sqlite
SELECT session.subject, session.session, session.gain * ? + ? AS h
FROM "lab.session" AS session
WHERE session.gain * ? > ? AND session.gain * ? + ? < ?;

-- (Session & 'gain > 1') * (Subject & 'born > "2020-01-01"')

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, lab.subject.species, lab.subject.born
FROM lab.session
  INNER JOIN lab.subject ON lab.session.subject = lab.subject.subject
WHERE lab.session.gain > %s AND lab.subject.born > %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, subject.species, subject.born
FROM "lab.session" AS session
  JOIN "lab.subject" AS subject ON session.subject = subject.subject
WHERE session.gain > ? AND subject.born > ?;

-- ((Session * Subject).proj('gain', 'species') & 'gain > 1').proj(s='species')

-- mysql
SELECT lab.session.subject, lab.session.session, lab.subject.species AS s
FROM lab.session
  INNER JOIN lab.subject ON lab.session.subject = lab.subject.subject
WHERE lab.session.gain > %s;

-- sqlite
SELECT session.subject, session.session, subject.species AS s
FROM "lab.session" AS session
  JOIN "lab.subject" AS subject ON session.subject = subject.subject
WHERE session.gain > ?;

-- Subject * Session * (Trial & {'outcome': 'hit'})

-- mysql
SELECT lab.subject.subject, lab.session.session, lab.trial.trial, lab.subject.species, lab.subject.born, lab.session.user, lab.session.gain, lab.trial.outcome, lab.trial.latency
FROM lab.subject
  INNER JOIN lab.session ON lab.subject.subject = lab.session.subject
  INNER JOIN lab.trial ON lab.subject.subject = lab.trial.subject AND lab.session.session = lab.trial.session
WHERE lab.trial.outcome = %s;

-- sqlite
SELECT subject.subject, session.session, trial.trial, subject.species, subject.born, session.user, session.gain, trial.outcome, trial.latency
FROM "lab.subject" AS subject
  JOIN "lab.session" AS session ON subject.subject = session.subject
  JOIN "lab.trial" AS trial ON subject.subject = trial.subject AND session.session = trial.session
WHERE trial.outcome = ?;

-- Subject * (Session * Trial)

-- mysql
SELECT lab.subject.subject, lab.session.session, lab.trial.trial, lab.subject.species, lab.subject.born, lab.session.user, lab.session.gain, lab.trial.outcome, lab.trial.latency
FROM lab.subject
  INNER JOIN (lab.session
    INNER JOIN lab.trial ON lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session) ON lab.subject.subject = lab.session.subject;

-- sqlite
SELECT subject.subject, session.session, trial.trial, subject.species, subject.born, session.user, session.gain, trial.outcome, trial.latency
FROM "lab.subject" AS subject
  JOIN ("lab.session" AS session
    JOIN "lab.trial" AS trial ON session.subject = trial.subject AND session.session = trial.session) ON subject.subject = session.subject;

-- (Trial * Filter).proj(slow='latency > cutoff') & 'slow'

-- mysql
SELECT lab.trial.subject, lab.trial.session, lab.trial.trial, lab.filter.filter, lab.trial.latency > lab.filter.cutoff AS `slow`
FROM lab.trial
  INNER JOIN lab.filter ON TRUE
WHERE lab.trial.latency > lab.filter.cutoff;

-- sqlite
SELECT trial.subject, trial.session, trial.trial, filter.filter, trial.latency > filter.cutoff AS slow
FROM "lab.trial" AS trial
  JOIN "lab.filter" AS filter ON TRUE
WHERE trial.latency > filter.cutoff;

-- Session.proj(other='session') * Session.proj()

-- mysql
SELECT lab.session.subject, lab.session.session AS other, session_2.session
FROM lab.session
  INNER JOIN lab.session AS session_2 ON lab.session.subject = session_2.subject;

-- sqlite
SELECT session.subject, session.session AS other, session_2.session
FROM "lab.session" AS session
  JOIN "lab.session" AS session_2 ON session.subject = session_2.subject;
