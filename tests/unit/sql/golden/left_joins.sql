-- left_joins: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Session.join(User, left=True)

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, lab.user.name
FROM lab.session
  LEFT OUTER JOIN lab.user ON lab.session.user = lab.user.user;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, user.name
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.user" AS user ON session.user = user.user;

-- Session.extend(User) & 'name is null'

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, lab.user.name
FROM lab.session
  LEFT OUTER JOIN lab.user ON lab.session.user = lab.user.user
WHERE lab.user.name IS NULL;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, user.name
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.user" AS user ON session.user = user.user
WHERE user.name IS NULL;

-- Session.extend(User & {'name': 'Ann'})

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, q.name
FROM lab.session
  LEFT OUTER JOIN (
  SELECT lab.user.user AS user, lab.user.name AS name
  FROM lab.user
  WHERE lab.user.name = %s) AS q ON lab.session.user = q.user;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, q.name
FROM "lab.session" AS session
  LEFT OUTER JOIN (
  SELECT user.user AS user, user.name AS name
  FROM "lab.user" AS user
  WHERE user.name = ?) AS q ON session.user = q.user;

-- Session.extend(User.proj(initial="coalesce(name, '?')"))

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain, CASE WHEN (lab.user.user IS NOT NULL) THEN coalesce(lab.user.name, %s) END AS initial
FROM lab.session
  LEFT OUTER JOIN lab.user ON lab.session.user = lab.user.user;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain, CASE WHEN (user.user IS NOT NULL) THEN coalesce(user.name, ?) END AS initial
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.user" AS user ON session.user = user.user;

-- Trial * Session.extend(User)

-- mysql
SELECT lab.trial.subject, lab.trial.session, lab.trial.trial, lab.trial.outcome, lab.trial.latency, lab.session.user, lab.session.gain, lab.user.name
FROM lab.trial
  INNER JOIN (lab.session
    LEFT OUTER JOIN lab.user ON lab.session.user = lab.user.user) ON lab.trial.subject = lab.session.subject AND lab.trial.session = lab.session.session;

-- sqlite
SELECT trial.subject, trial.session, trial.trial, trial.outcome, trial.latency, session.user, session.gain, user.name
FROM "lab.trial" AS trial
  JOIN ("lab.session" AS session
    LEFT OUTER JOIN "lab.user" AS user ON session.user = user.user) ON trial.subject = session.subject AND trial.session = session.session;
