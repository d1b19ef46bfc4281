-- Grain: member who paid. Key: user_id. A query view.
-- Inputs: dws_user_day.
--
-- recency: days since the last day with a payment, up to the newest one of all;
-- frequency: days with a payment; monetary: goods paid minus refunded. r, f, m: each of
-- them in five parts of equal size, 5 is best. segment: best (all three 4 or 5), fresh
-- (paid lately, not often yet), at risk (spent much, not lately), asleep (r 1 or 2),
-- middle (all others); the first that fits.
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
    6 - ntile(5) OVER (ORDER BY recency, user_id) AS r,
    ntile(5) OVER (ORDER BY frequency, user_id) AS f,
    ntile(5) OVER (ORDER BY monetary, user_id) AS m
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
