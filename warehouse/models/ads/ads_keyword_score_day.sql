-- Grain: business day × word. Key: day, keyword. A query view.
-- Inputs: ads_keyword_source_day.
--
-- score: 10 for each page view for the word (of the search page, the list that it found,
-- each return to that); for each order line, putting in a cart and view of goods with the
-- word in their name 5, 2 and 1.
CREATE VIEW ads_keyword_score_day AS
SELECT day, keyword, sum(score) AS score
FROM ads_keyword_source_day
GROUP BY day, keyword
