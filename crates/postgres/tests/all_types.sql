CREATE TYPE colour AS ENUM ('red', 'green', 'It''s "blue"');
CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
CREATE DOMAIN moment AS timestamptz;
CREATE TYPE pair AS (a int, b text);
CREATE TYPE float_range AS RANGE (subtype = float8);
CREATE TABLE every_type (
    id bigint PRIMARY KEY, i2 smallint, i4 integer, o oid,
    n numeric, n10 numeric(10,2), f4 real, f8 double precision, m money, ok boolean,
    d date, t time, ttz timetz, ts timestamp, tstz timestamptz, iv interval,
    bin bytea, txt text, vc varchar(50), ch char(5), one "char", nm name,
    j json, jb jsonb, u uuid, e colour, dom cents, dmo moment, p pair,
    ip inet, net cidr, mac macaddr, b3 bit(3), vb varbit, x xml,
    r4 int4range, rts tstzrange, mr int4multirange, fr float_range,
    pt point, bx box, tv tsvector, lsn pg_lsn,
    ai integer[], an numeric[], at text[], ab bytea[], ats timestamptz[], aj jsonb[], ae colour[], ad cents[], ax box[], aa integer[][],
    iv2 int2vector, "odd ""name" text
);
INSERT INTO every_type (id) VALUES (1);
INSERT INTO every_type VALUES (2, -32768, -2147483648, 4294967295,
    123456789012345678901234567890.000000000123, -12345678.90, 1.1, 0.1, '-1234.56', true,
    '2026-01-31', '12:34:56.789', '12:34:56+05:30', '2026-01-31 12:34:56.789012', '2026-01-31 12:34:56.7+02', '1 year 2 mons -3 days 04:05:06.7',
    '\x00ff5c22', E'tab\t newline\n backslash\\ quote" null \\N snowman ☃ \u0001 𝄞', 'x', 'ab', 'c', 'a name',
    '{"a": [1, 2.50, null, "\u00e9"]}', '{"b": {"c": 1e100}}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'It''s "blue"', 5, '2026-07-01 00:00+00', '(1,"a b")',
    '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', B'101', B'0011', '<a>b</a>',
    '[1,5)', '[2026-01-01 00:00+00,)', '{[1,3), [5,7)}', '[1.5,2.5]',
    '(1,2)', '((0,0),(1,1))', 'a:1 b:2', '16/B374D848',
    '{1,NULL,3}', '{1.50,NaN}', E'{a,"b,c",NULL,"NULL","","q\\"\\\\"}', '{"\\x00ff"}', '{"2026-01-31 12:00+00"}', '{"{\"k\": 1}"}', '{red,NULL}', '{1,2}', '{((0,0),(1,1));((2,2),(3,3))}', '[0:1][0:1]={{1,2},{3,4}}',
    '1 2 3', 'odd');
INSERT INTO every_type (id, n, f4, f8, d, ts, tstz, iv, txt, n10, bin, ai) VALUES
    (3, 'NaN', 'NaN', 'Infinity', 'infinity', '-infinity', 'infinity', '-1 days', '', 0, '', '{}'),
    (4, 'Infinity', '-Infinity', '-0', '0044-03-15 BC', '0044-03-15 12:00 BC', '0044-03-15 12:00+00 BC', '0', '\', 'NaN', '\x', '{}'),
    (5, -0.00, 1e-30, 1e300, '5874897-12-31', '294276-12-31 23:59:59.999999', '0001-01-01 00:00+00', '-178000000 years', repeat('ü', 3000), 99999999.99, decode(repeat('00', 5000), 'hex'), '{1}');
INSERT INTO every_type (id, tstz, f8) VALUES (6, '2026-03-29 01:30:00 Europe/Berlin', 4.9e-324);
UPDATE every_type SET txt = txt || '!' WHERE id = 2;
DELETE FROM every_type WHERE id = 6
