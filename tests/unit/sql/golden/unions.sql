-- unions: what queries become, written by tests/unit/sql/test_golden_sql.py

-- Subject.proj() + (dj.U('subject') & Session)

-- mysql
SELECT `rows`.subject
FROM (
  SELECT lab.subject.subject AS subject
  FROM lab.subject
  UNION
  SELECT DISTINCT lab.session.subject AS subject
  FROM lab.session) AS `rows`;

-- sqlite
SELECT rows.subject
FROM (
  SELECT subject.subject AS subject
  FROM "lab.subject" AS subject
  UNION
  SELECT DISTINCT session.subject AS subject
  FROM "lab.session" AS session) AS rows;

-- (Subject & 'subject < 3').proj() + (Subject & {'species': 'rat'}).proj()

-- mysql
SELECT `rows`.subject
FROM (
  SELECT lab.subject.subject AS subject
  FROM lab.subject
  WHERE lab.subject.subject < %s
  UNION
  SELECT subject_2.subject AS subject
  FROM lab.subject AS subject_2
  WHERE subject_2.species = %s) AS `rows`;

-- sqlite
SELECT rows.subject
FROM (
  SELECT subject.subject AS subject
  FROM "lab.subject" AS subject
  WHERE subject.subject < ?
  UNION
  SELECT subject_2.subject AS subject
  FROM "lab.subject" AS subject_2
  WHERE subject_2.species = ?) AS rows;

-- Session.proj('gain') + Session.proj('user')

-- mysql
SELECT `rows`.subject, `rows`.session, `rows`.gain, `rows`.user
FROM (
  SELECT lab.session.subject AS subject, lab.session.session AS session, lab.session.gain AS gain, session_2.user AS user
  FROM lab.session
    LEFT OUTER JOIN lab.session AS session_2 ON lab.session.subject = session_2.subject AND lab.session.session = session_2.session
  UNION ALL
  SELECT session_3.subject AS subject, session_3.session AS session, NULL AS gain, session_3.user AS user
  FROM lab.session AS session_3
    LEFT OUTER JOIN lab.session AS session_4 ON session_3.subject = session_4.subject AND session_3.session = session_4.session
  WHERE session_4.subject IS NULL) AS `rows`;

-- sqlite
SELECT rows.subject, rows.session, rows.gain, rows.user
FROM (
  SELECT session.subject AS subject, session.session AS session, session.gain AS gain, session_2.user AS user
  FROM "lab.session" AS session
    LEFT OUTER JOIN "lab.session" AS session_2 ON session.subject = session_2.subject AND session.session = session_2.session
  UNION ALL
  SELECT session_3.subject AS subject, session_3.session AS session, NULL AS gain, session_3.user AS user
  FROM "lab.session" AS session_3
    LEFT OUTER JOIN "lab.session" AS session_4 ON session_3.subject = session_4.subject AND session_3.session = session_4.session
  WHERE session_4.subject IS NULL) AS rows;

-- (Subject.proj() + (dj.U('subject') & Session)) & 'subject > 2'

-- mysql
SELECT `rows`.subject
FROM (
  SELECT lab.subject.subject AS subject
  FROM lab.subject
  UNION
  SELECT DISTINCT lab.session.subject AS subject
  FROM lab.session) AS `rows`
WHERE `rows`.subject > %s;

-- sqlite
SELECT rows.subject
FROM (
  SELECT subject.subject AS subject
  FROM "lab.subject" AS subject
  UNION
  SELECT DISTINCT session.subject AS subject
  FROM "lab.session" AS session) AS rows
WHERE rows.subject > ?;
