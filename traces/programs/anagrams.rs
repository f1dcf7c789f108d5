//! Groups the words of standard input that are anagrams of each other. It is here to be compiled:
//! generic enough that the optimiser has something to do.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    io::{self, BufRead},
};

trait Key: Ord + Clone + fmt::Debug {
    fn of(word: &str) -> Self;
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sorted(Vec<char>);

impl Key for Sorted {
    fn of(word: &str) -> Self {
        let mut letters: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
        letters.sort_unstable();
        Sorted(letters)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Counted(BTreeMap<char, usize>);

impl Key for Counted {
    fn of(word: &str) -> Self {
        let mut counts = BTreeMap::new();
        for letter in word.chars().flat_map(char::to_lowercase) {
            *counts.entry(letter).or_insert(0) += 1;
        }
        Counted(counts)
    }
}

#[derive(Debug, Default)]
struct Groups<K: Key>(BTreeMap<K, BTreeSet<String>>);

impl<K: Key> Groups<K> {
    fn add(&mut self, word: &str) {
        self.0.entry(K::of(word)).or_default().insert(word.to_owned());
    }

    fn largest_first(&self) -> Vec<&BTreeSet<String>> {
        let mut groups: Vec<_> = self.0.values().filter(|group| group.len() > 1).collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.first().cloned()));
        groups
    }
}

impl<K: Key> fmt::Display for Groups<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.largest_first() {
            let words: Vec<_> = group.iter().map(String::as_str).collect();
            writeln!(f, "{}", words.join(" "))?;
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut sorted = Groups::<Sorted>(BTreeMap::new());
    let mut counted = Groups::<Counted>(BTreeMap::new());
    let mut lengths: HashMap<usize, Vec<String>> = HashMap::new();
    for line in io::stdin().lock().lines() {
        for word in line?.split_whitespace() {
            sorted.add(word);
            counted.add(word);
            lengths.entry(word.chars().count()).or_default().push(word.to_owned());
        }
    }
    assert_eq!(sorted.to_string(), counted.to_string());
    print!("{sorted}");
    let mut lengths: Vec<_> = lengths.into_iter().collect();
    lengths.sort();
    for (length, words) in lengths {
        println!("{length}: {}", words.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped<K: Key>(words: &[&str]) -> String {
        let mut groups = Groups::<K>(BTreeMap::new());
        words.iter().for_each(|word| groups.add(word));
        groups.to_string()
    }

    #[test]
    fn words_of_the_same_letters_form_a_group() {
        let words = ["Listen", "silent", "google", "enlist"];
        assert_eq!(grouped::<Sorted>(&words), "Listen enlist silent\n");
        assert_eq!(grouped::<Counted>(&words), "Listen enlist silent\n");
    }

    #[test]
    fn a_word_alone_forms_none() {
        assert_eq!(grouped::<Sorted>(&["page", "table"]), "");
    }
}
