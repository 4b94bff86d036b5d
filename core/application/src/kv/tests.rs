use super::*;

fn write(store: &mut KvStore, key: u64, value: &[u8]) -> Outcome<'static> {
    store.write(store.spot_of(key), value)
}

#[test]
fn the_root_is_rfc_6962s_over_the_pages_and_the_rules() {
    let limits = Limits { keys_max: 128, ..Limits::default() };
    let mut store = KvStore::new(limits, Permissions::default());
    for key in 0..60 {
        assert_eq!(write(&mut store, key, &[key as u8; 20]), Outcome::Done);
        let leaf = |page: &Page| {
            let mut leaf = Vec::new();
            page.encode(&store.frames, &mut leaf);
            leaf_hash(Rule::Rfc6962, &leaf)
        };
        let mut leaves: Vec<Digest> = store.pages.iter().map(leaf).collect();
        leaves.push(store.rules.1);
        assert_eq!(leaves.len(), 17);
        assert_eq!(store.root(), merkle::root(Rule::Rfc6962, &leaves));
    }
}

#[test]
fn values_in_place_and_in_memory_of_their_own_read_alike_whatever_takes_their_turn() {
    let mut store = KvStore::new(Limits::default(), Permissions::default());
    for length in [24, 22, 23, 0, 24, 22, 100, 1] {
        let mut value: Vec<u8> = (0..length).collect();
        assert_eq!(write(&mut store, 7, &value), Outcome::Done);
        let read = store.read(store.spot_of(7));
        assert_eq!(Outcome::parse(&read), Ok(Outcome::Value(&value)));
        let Some(offset) = u32::from(length).checked_sub(1) else { continue };
        assert_eq!(store.patch(store.spot_of(7), offset, b"ab"), Outcome::OutOfRange);
        assert_eq!(store.patch(store.spot_of(7), offset, b"a"), Outcome::Done);
        assert_eq!(Outcome::parse(&read), Ok(Outcome::Value(&value)), "an answer stays");
        *value.last_mut().unwrap() = b'a';
        assert_eq!(store.get(7), Some(&value[..]));
        assert_eq!(store.value_bytes(), u64::from(length));
    }
}

#[test]
fn a_checkpoint_lets_go_of_the_frames_before_it_and_of_no_later_one() {
    let mut store = KvStore::new(Limits::default(), Permissions::default());
    let put = |store: &mut KvStore, seq: u64, key: u64| {
        let frame = Operation::Put { key, value: &[seq as u8; 30] }.to_frame();
        let operations = std::iter::once((ClientId(1), &frame[..]));
        store.execute(Seq(seq), &frame, operations, &mut Vec::new());
        frame
    };
    let frames = [(1, 1), (2, 2), (3, 1)].map(|(seq, key)| put(&mut store, seq, key));
    assert!(frames.iter().all(|frame| !frame.is_unique()), "their values are not copied");
    assert_eq!(store.begin_checkpoint(Seq(3)), None);
    let later = put(&mut store, 4, 2);
    while store.settle() == Settling::More {}
    assert!(frames.iter().all(Bytes::is_unique) && !later.is_unique());
    assert_eq!((store.get(1), store.get(2)), (Some(&[3; 30][..]), Some(&[4; 30][..])));
    let last = put(&mut store, 5, 1);
    assert_eq!(store.rollback_to(Seq(4)), Ok(()));
    assert!(last.is_unique() && store.get(1) == Some(&[3; 30]));
    assert_eq!(store.rollback_to(Seq(3)), Ok(()));
    assert!(later.is_unique() && store.get(2) == Some(&[2; 30]));
}

#[test]
fn values_that_a_restored_state_replaces_are_copied_before_their_frames_go() {
    let put = |store: &mut KvStore, seq: u64| {
        let frame = Operation::Put { key: 1, value: &[seq as u8; 30] }.to_frame();
        let operations = std::iter::once((ClientId(1), &frame[..]));
        store.execute(Seq(seq), &frame, operations, &mut Vec::new());
    };
    let stores = [0; 2].map(|_| KvStore::new(Limits::default(), Permissions::default()));
    let [mut peer, mut behind] = stores;
    put(&mut peer, 3);
    let state = peer.checkpoint(Seq(3));
    let part = peer.page_of(1) as u32 >> peer.part_level;
    let parts = [(part, peer.part(Seq(3), part).unwrap())];
    put(&mut behind, 1);
    let own = behind.checkpoint(Seq(1));
    put(&mut behind, 2);
    assert_eq!(behind.restore(Seq(3), state, &parts), Ok(()));
    assert_eq!(behind.get(1), Some(&[3; 30][..]));
    assert_eq!(behind.rollback_to(Seq(1)), Ok(()));
    assert_eq!(behind.get(1), Some(&[1; 30][..]));
    assert_eq!(behind.root(), own.root);
}

#[test]
fn keys_picked_to_meet_in_one_part_cannot_make_it_larger_than_what_is_transferred() {
    let limits = Limits { keys_max: 1 << 20, value_bytes_max: 1 << 30 };
    let mut store = KvStore::new(limits, Permissions::default());
    let mut peer = KvStore::new(limits, Permissions::default());
    let in_part = 1 << store.part_level;
    let picked = (0..).filter(|key| mix(*key) as usize & (store.pages.len() - 1) < in_part);
    let picked: Vec<u64> = picked.take(1025).collect();
    let long = vec![7; VALUE_BYTES_MAX];
    let fit = picked.iter().take_while(|key| write(&mut store, **key, &long) == Outcome::Done);
    assert_eq!(fit.count(), 1023, "64 MiB of values, but for what keys and pages take");
    assert_eq!(write(&mut store, picked[1024], b"short"), Outcome::Done);
    store.executed = Seq(1);
    let state = store.checkpoint(Seq(1));
    let part = store.part(Seq(1), 0).unwrap();
    assert!(part.len() as u64 <= PART_BYTES_MAX, "{} bytes", part.len());
    // Going back and taking over count as writing does.
    assert_eq!(peer.restore(Seq(1), state, &[(0, part)]), Ok(()));
    assert_eq!(peer.part_bytes, store.part_bytes);
    store.history.begin(Seq(1), Seq(2));
    assert_eq!(write(&mut store, picked[0], b"short"), Outcome::Done);
    assert_eq!(write(&mut store, picked[1023], &long), Outcome::Done);
    store.executed = Seq(2);
    assert_eq!(store.rollback_to(Seq(1)), Ok(()));
    assert_eq!(peer.part_bytes, store.part_bytes);
}

#[test]
fn a_page_filled_on_purpose_is_full_alone() {
    let limits = Limits { keys_max: 1024, ..Limits::default() };
    let mut store = KvStore::new(limits, Permissions::default());
    let same_page = |key: &u64| mix(*key).is_multiple_of(128);
    let picked: Vec<u64> = (0..).filter(same_page).take(PAGE_KEYS_MAX + 1).collect();
    let (last, fitting) = picked.split_last().unwrap();
    assert!(fitting.iter().all(|&key| write(&mut store, key, b"value") == Outcome::Done));
    assert_eq!(write(&mut store, *last, b"value"), Outcome::Full);
    assert_eq!(write(&mut store, fitting[0], b"another"), Outcome::Done);
    assert_eq!(write(&mut store, (1..).find(|key| !same_page(key)).unwrap(), b"v"), Outcome::Done);
    assert_eq!(store.keys(), PAGE_KEYS_MAX + 1);
}
