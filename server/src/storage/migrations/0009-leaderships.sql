-- Who leads what: a number that grows with each new leader, so that what an old one writes late can be told apart.
create table leaderships (
  name text primary key,
  term bigint not null check (term > 0)
);
