-- 0007 keyless: a message of our own without a key has its id for one, and is found by that.
--
-- Its key in an index would be a second, random place to write in each accept.

drop index nevertwice.message_key;
create index message_key on nevertwice.message (hashtext(key)) where key <> id::text;
