-- Grain: member who paid. Key: user_id. A query view.
-- Inputs: dws_user_day.
--
-- recency: days since the last day with a payment, up to the newest one of all;
-- frequency: days with a payment; monetary: goods paid minus refunded. r, f, m: from 1
-- to 5, 5 is best, by the fifths of members who paid later (r), on fewer days (f) or less
-- (m); members alike have the same. segment: best (all three 4 or 5), fresh (paid lately, not
-- often yet), at risk (spent much, not lately), asleep (r 1 or 2), middle (all others);
-- the first that fits.
CREATE VIEW ads_user_value AS
SELECT
  user_id, recency, frequency, monetary, r, f, m,
  CASE
    WHEN r >= 4 AND f >= 4 AND m >= 4 THEN 'best'
    WHEN r >= 4 AND f < 4 THEN 'fresh'
    WHEN r < 4 AND m >= 4 THEN 'at risk'
    WHEN r <= 2 THEN 'asleep'
    ELSE 'middle'
  END AS segment
FROM (
  SELECT
    user_id, recency, frequency, monetary,
    5 - 5 * (CAST(rank() OVER (ORDER BY recency) AS BIGINT) - 1) / count(*) OVER () AS r,
    1 + 5 * (CAST(rank() OVER (ORDER BY frequency) AS BIGINT) - 1) / count(*) OVER () AS f,
    1 + 5 * (CAST(rank() OVER (ORDER BY monetary) AS BIGINT) - 1) / count(*) OVER () AS m
  FROM (
    SELECT
      u.user_id,
      newest.day - max(u.day) FILTER (WHERE u.paid_amount > 0) AS recency,
      count(*) FILTER (WHERE u.paid_amount > 0) AS frequency,
      sum(u.paid_amount - u.refund_amount) AS monetary
    FROM dws_user_day AS u
    CROSS JOIN (SELECT max(day) AS day FROM dws_user_day WHERE paid_amount > 0) AS newest
    GROUP BY u.user_id, newest.day
    HAVING count(*) FILTER (WHERE u.paid_amount > 0) > 0
  ) AS members
) AS parts
