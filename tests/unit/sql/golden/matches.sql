-- matches: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Subject & Session

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject
WHERE EXISTS (
  SELECT 1
  FROM lab.session
  WHERE lab.subject.subject = lab.session.subject);

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject
WHERE EXISTS (
  SELECT 1
  FROM "lab.session" AS session
  WHERE subject.subject = session.subject);

-- Subject & (Session & 'gain > 1')

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject
WHERE EXISTS (
  SELECT 1
  FROM lab.session
  WHERE lab.session.gain > %s AND lab.subject.subject = lab.session.subject);

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject
WHERE EXISTS (
  SELECT 1
  FROM "lab.session" AS session
  WHERE session.gain > ? AND subject.subject = session.subject);

-- Subject & (Session * Trial & {'outcome': 'hit'})

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject
WHERE EXISTS (
  SELECT 1
  FROM lab.session
    INNER JOIN lab.trial ON lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session
  WHERE lab.trial.outcome = %s AND lab.subject.subject = lab.session.subject);

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject
WHERE EXISTS (
  SELECT 1
  FROM "lab.session" AS session
    JOIN "lab.trial" AS trial ON session.subject = trial.subject AND session.session = trial.session
  WHERE trial.outcome = ? AND subject.subject = session.subject);

-- Session - Trial

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
  LEFT OUTER JOIN lab.trial ON lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session
WHERE lab.trial.subject IS NULL;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.trial" AS trial ON session.subject = trial.subject AND session.session = trial.session
WHERE trial.subject IS NULL;

-- (Session & 'gain > 1') - Trial

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
  LEFT OUTER JOIN lab.trial ON lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session
WHERE lab.session.gain > %s AND lab.trial.subject IS NULL;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
  LEFT OUTER JOIN "lab.trial" AS trial ON session.subject = trial.subject AND session.session = trial.session
WHERE session.gain > ? AND trial.subject IS NULL;

-- Session - (Trial & {'outcome': 'hit'})

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
  LEFT OUTER JOIN (
  SELECT lab.trial.subject AS subject, lab.trial.session AS session
  FROM lab.trial
  WHERE lab.trial.outcome = %s) AS q ON lab.session.subject = q.subject AND lab.session.session = q.session
WHERE q.subject IS NULL;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
  LEFT OUTER JOIN (
  SELECT trial.subject AS subject, trial.session AS session
  FROM "lab.trial" AS trial
  WHERE trial.outcome = ?) AS q ON session.subject = q.subject AND session.session = q.session
WHERE q.subject IS NULL;

-- Session & [Trial, {'subject': 1}]

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE (EXISTS (
    SELECT 1
    FROM lab.trial
    WHERE lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session)) OR lab.session.subject = %s;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE (EXISTS (
    SELECT 1
    FROM "lab.trial" AS trial
    WHERE session.subject = trial.subject AND session.session = trial.session)) OR session.subject = ?;

-- Session & dj.Not(dj.AndList([Trial, 'gain > 1']))

-- mysql
SELECT lab.session.subject, lab.session.session, lab.session.user, lab.session.gain
FROM lab.session
WHERE ((EXISTS (
      SELECT 1
      FROM lab.trial
      WHERE lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session)) AND lab.session.gain > %s) IS NOT TRUE;

-- sqlite
SELECT session.subject, session.session, session.user, session.gain
FROM "lab.session" AS session
WHERE ((EXISTS (
      SELECT 1
      FROM "lab.trial" AS trial
      WHERE session.subject = trial.subject AND session.session = trial.session)) AND session.gain > ?) IS NOT TRUE;

-- Subject & (Session & (Trial & {'outcome': 'hit'}))

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject
WHERE EXISTS (
  SELECT 1
  FROM lab.session
  WHERE (EXISTS (
      SELECT 1
      FROM lab.trial
      WHERE lab.trial.outcome = %s AND lab.session.subject = lab.trial.subject AND lab.session.session = lab.trial.session)) AND lab.subject.subject = lab.session.subject);

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject
WHERE EXISTS (
  SELECT 1
  FROM "lab.session" AS session
  WHERE (EXISTS (
      SELECT 1
      FROM "lab.trial" AS trial
      WHERE trial.outcome = ? AND session.subject = trial.subject AND session.session = trial.session)) AND subject.subject = session.subject);

-- Subject & Filter

-- mysql
SELECT lab.subject.subject, lab.subject.species, lab.subject.born
FROM lab.subject
WHERE EXISTS (
  SELECT 1
  FROM lab.filter);

-- sqlite
SELECT subject.subject, subject.species, subject.born
FROM "lab.subject" AS subject
WHERE EXISTS (
  SELECT 1
  FROM "lab.filter" AS filter);
