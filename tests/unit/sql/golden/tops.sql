-- tops: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Session & dj.Top(3)

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
ORDER BY lab.session.subject ASC, lab.session.session ASC
LIMIT %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
ORDER BY session.subject ASC, session.session ASC
LIMIT ? OFFSET ?;

-- Session & dj.Top(3, 'gain DESC')

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
ORDER BY lab.session.gain DESC
LIMIT %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
ORDER BY session.gain DESC
LIMIT ? OFFSET ?;

-- Session & dj.Top(3, 'gain DESC') & dj.Top(2, None, offset=1)

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
ORDER BY lab.session.gain DESC
LIMIT %s, %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
ORDER BY session.gain DESC
LIMIT ? OFFSET ?;

-- (Session & 'gain > 1' & dj.Top(3)).proj('gain')

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.gain
FROM lab.session
WHERE lab.session.gain > %s
ORDER BY lab.session.subject ASC, lab.session.session ASC
LIMIT %s;

-- sqlite
SELECT session.subject, session.session, session.gain
FROM "lab.session" AS session
WHERE session.gain > ?
ORDER BY session.subject ASC, session.session ASC
LIMIT ? OFFSET ?;

-- (Session & dj.Top(3)) & 'gain > 1'

-- mysql
SELECT q.subject, q.session, q.user, q.gain
FROM (
  SELECT lab.session.subject AS subject, lab.session.session AS session, lab.session.user AS user, lab.session.gain AS gain
  FROM lab.session
  ORDER BY lab.session.subject ASC, lab.session.session ASC
  LIMIT %s) AS q
WHERE q.gain > %s
ORDER BY q.subject ASC, q.session ASC;

-- sqlite
SELECT q.subject, q.session, q.user, q.gain
FROM (
  SELECT session.subject AS subject, session.session AS session, session.user AS user, session.gain AS gain
  FROM "lab.session" AS session
  ORDER BY session.subject ASC, session.session ASC
  LIMIT ? OFFSET ?) AS q
WHERE q.gain > ?
ORDER BY q.subject ASC, q.session ASC;

-- Trial * (Session & dj.Top(3, 'gain'))

-- mysql
SELECT lab.trial.subject, lab.trial.session, lab.trial.trial, lab.trial.outcome, lab.trial.latency, q.user, q.gain
FROM lab.trial
  INNER JOIN (
  SELECT lab.session.subject AS subject, lab.session.session AS session, lab.session.user AS user, lab.session.gain AS gain
  FROM lab.session
  ORDER BY lab.session.gain ASC
  LIMIT %s) AS q ON lab.trial.subject = q.subject AND lab.trial.session = q.session
ORDER BY q.gain ASC;

-- sqlite
SELECT trial.subject, trial.session, trial.trial, trial.outcome, trial.latency, q.user, q.gain
FROM "lab.trial" AS trial
  JOIN (
  SELECT session.subject AS subject, session.session AS session, session.user AS user, session.gain AS gain
  FROM "lab.session" AS session
  ORDER BY session.gain ASC
  LIMIT ? OFFSET ?) AS q ON trial.subject = q.subject AND trial.session = q.session
ORDER BY q.gain ASC;

-- Subject.aggr(Session, n='count(*)') & dj.Top(3, 'n DESC')

-- mysql
SELECT lab.subject.subject, count(lab.session.subject) AS n
FROM lab.subject
  LEFT OUTER JOIN lab.session ON lab.subject.subject = lab.session.subject
GROUP BY lab.subject.subject
ORDER BY count(lab.session.subject) DESC
LIMIT %s;

-- sqlite
SELECT subject.subject, count(session.subject) AS n
FROM "lab.subject" AS subject
  LEFT OUTER JOIN "lab.session" AS session ON subject.subject = session.subject
GROUP BY subject.subject
ORDER BY count(session.subject) DESC
LIMIT ? OFFSET ?;
