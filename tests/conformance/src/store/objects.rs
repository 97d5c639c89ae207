//! Objects: small ones come with their row, large ones must be there before it.

use std::{fs, io::Read};

use ferry_engine_store::{Content, ErrorKind, INLINE_MAX, Reader, Stage};

use super::{
    Run,
    bench::{Bench, Outcome, file},
    cases,
};

pub(super) fn cases() -> Vec<(&'static str, Run)> {
    cases![
        objects_of_every_size_come_back,
        a_missing_object_is_refused_with_its_batch,
        the_same_bytes_are_one_object,
        a_large_object_is_lent_as_a_file,
        tidying_takes_nothing_that_is_named,
    ]
}

fn bytes(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn read(reader: &Reader, digest: &str) -> Outcome<Vec<u8>> {
    let mut found = Vec::new();
    reader.open_object(digest)?.read_to_end(&mut found)?;
    Ok(found)
}

async fn objects_of_every_size_come_back(bench: Bench) -> Outcome {
    for length in [0, 1, INLINE_MAX, INLINE_MAX + 1, 3_000_000] {
        let content = bench.store.objects().put_bytes(bytes(length))?;
        assert_eq!(matches!(content, Content::Inline(_)), length <= INLINE_MAX, "{length} bytes");
        let node = bench.one(file(content)).await?;
        let stored = bench.reader.files(node)?.remove(0);
        assert_eq!((stored.path.as_str(), stored.size), ("a", length));
        assert!(read(&bench.reader, &stored.digest)? == bytes(length), "{length} bytes");
    }
    Ok(())
}

async fn a_missing_object_is_refused_with_its_batch(bench: Bench) -> Outcome {
    let content = bench.store.objects().put_bytes(bytes(50_000))?;
    let (digest, size) = content.digest_and_size();
    let missing = [
        Content::Object { digest: "00".repeat(32), size: 20_000 },
        Content::Object { digest, size: size + 1 },
    ];
    for content in missing {
        let good = file(Content::Inline(b"good".to_vec()));
        bench.refused([good, file(content)], ErrorKind::Rule).await?;
    }
    let good = Content::Inline(b"good".to_vec()).digest_and_size().0;
    assert!(bench.reader.object(&good).is_err(), "half of a refused batch was kept");
    Ok(())
}

async fn the_same_bytes_are_one_object(bench: Bench) -> Outcome {
    for length in [100, 100_000] {
        let once = bench.store.objects().put_bytes(bytes(length))?;
        let twice = bench.store.objects().put_bytes(bytes(length))?;
        assert_eq!(once, twice);
        let nodes = (bench.one(file(once.clone())).await?, bench.one(file(twice)).await?);
        assert_eq!(bench.reader.files(nodes.0)?, bench.reader.files(nodes.1)?);
    }
    Ok(())
}

async fn a_large_object_is_lent_as_a_file(bench: Bench) -> Outcome {
    let content = bench.store.objects().put_bytes(bytes(100_000))?;
    let digest = content.digest_and_size().0;
    bench.one(file(content)).await?;
    assert!(fs::read(bench.reader.object_file(&digest)?)? == bytes(100_000));
    Ok(())
}

async fn tidying_takes_nothing_that_is_named(bench: Bench) -> Outcome {
    let lengths: Vec<u64> = (0..40).map(|number| 10_000 + number * 1000).collect();
    let mut digests = Vec::new();
    for length in &lengths {
        let content = bench.store.objects().put_bytes(bytes(*length))?;
        digests.push(content.digest_and_size().0);
        bench.one(file(content)).await?;
    }
    let mut stage = Some(Stage::FIRST);
    while let Some(now) = stage {
        stage = bench.store.maintain(now).await?.1;
    }
    for (digest, length) in digests.iter().zip(lengths) {
        assert!(read(&bench.reader, digest)? == bytes(length), "{length} bytes");
    }
    Ok(())
}
